package metric

import (
	"context"
	"math"

	"damson/internal/parallel"
)

// Clusters judges a clustering.
type Clusters struct {
	Clusters   []Cluster `json:"clusters"`             // by number
	Features   []string  `json:"features,omitempty"`   // that Centre and Deviations are of: those that tell clusters apart most
	Silhouette int64     `json:"silhouette_rows"`      // held-out rows that silhouettes were computed of
	Labels     []string  `json:"labels,omitempty"`     // the target's values, when there is a target
	Table      [][]int64 `json:"table,omitempty"`      // held-out rows by label, then by cluster
	Unlabelled int64     `json:"unlabelled,omitempty"` // held-out rows whose target is not known
}

// Cluster is what is known of one cluster. What its held-out rows do not define is absent.
type Cluster struct {
	Training   int64     `json:"training_rows"`
	Rows       int64     `json:"rows"`                 // held out
	Distance   *float64  `json:"distance,omitempty"`   // mean, of its rows from the centre
	Farthest   *float64  `json:"farthest,omitempty"`   // largest such distance
	Silhouette *float64  `json:"silhouette,omitempty"` // mean
	Centre     []float64 `json:"centre,omitempty"`     // in the features' own units
	Deviations []float64 `json:"deviations,omitempty"` // in standard deviations from the mean
}

// ClusterRows are judged rows of a clustering, by column.
type ClusterRows struct {
	K         int         // clusters that there are
	Clusters  []int32     // the row's
	Distances []float64   // from its centre
	Points    [][]float64 // coordinates between which distances are measured, by column
	Names     []string    // of the target's values; nil = there is no target
	Labels    []int32     // index into Names, -1 = not known; nil without a target
	Groups    []string    // nil = none
}

// silhouetteRows is how many rows' silhouettes are computed: each takes its distance to all others.
const silhouetteRows = 4000

// JudgeClusters makes the report of held-out rows of a clustering, as scikit-learn's metrics of these names define it. Silhouettes are
// of the first 4,000 rows among themselves: give rows in an order that looks random. What Judge leaves to the caller, it does, too, and
// the clusters' training rows and centres. threads: 0 = one a processor; draws find intervals, of which there are none with nil. The error
// is the context's.
func JudgeClusters(ctx context.Context, r ClusterRows, threads int, draws *Bootstrap) (Report, error) {
	r.check()
	silhouettes, err := r.silhouettes(ctx, silhouetteRows, threads)
	if err != nil {
		return Report{}, err
	}
	out := Report{Kind: Clustering, Rows: int64(len(r.Clusters)), Metrics: r.basic(silhouettes), Clusters: r.byCluster(silhouettes), Importance: []Importance{}}
	if draws != nil {
		out.Intervals, err = draws.intervals(ctx, newClusterSampler(r, silhouettes))
	}
	return out, err
}

func (r *ClusterRows) check() {
	n := len(r.Clusters)
	same(n, len(r.Distances))
	for _, column := range r.Points {
		same(n, len(column))
	}
	for _, c := range r.Clusters {
		if c < 0 || int(c) >= r.K {
			panic("metric: a row of no cluster")
		}
	}
	if r.Names != nil {
		same(n, len(r.Labels))
	}
	for _, y := range r.Labels {
		if y < -1 || int(y) >= len(r.Names) {
			panic("metric: a label that is no class")
		}
	}
}

// basic are the metrics of any set of rows.
func (r *ClusterRows) basic(silhouettes []float64) map[string]float64 {
	m := map[string]float64{"silhouette": mean(silhouettes), "inertia": 0}
	for _, d := range r.Distances {
		m["inertia"] += float64(d*d) / float64(len(r.Distances))
	}
	if len(r.Distances) == 0 {
		clear(m)
	}
	m["calinski_harabasz"], m["davies_bouldin"] = r.spreads()
	if r.Names != nil {
		for name, v := range agreement(r.table()) {
			m[name] = v
		}
	}
	return defined(m)
}

// mean is NaN of nothing.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// counts says how many of the first rows are of each cluster, and how many clusters have some.
func (r *ClusterRows) counts(first int) (rows []int64, occur int) {
	rows = make([]int64, r.K)
	for _, c := range r.Clusters[:first] {
		if rows[c]++; rows[c] == 1 {
			occur++
		}
	}
	return rows, occur
}

// silhouettes compare each row's mean distance to its own cluster with that to the next one (P. Rousseeuw 1987): from -1, in the wrong
// cluster, to 1, far from all others. A cluster's only row has 0. With one cluster, or as many as rows, there are none.
func (r *ClusterRows) silhouettes(ctx context.Context, most, threads int) ([]float64, error) {
	n := min(len(r.Clusters), most)
	rows, occur := r.counts(n)
	if occur < 2 || occur > n-1 {
		return nil, ctx.Err()
	}
	points := r.across(n)
	out := make([]float64, n)
	err := parallel.EachWith(ctx, n, threads, func() []float64 { return make([]float64, r.K) }, func(i int, sums []float64) {
		clear(sums)
		for j, other := range points {
			sums[r.Clusters[j]] += math.Sqrt(gap(points[i], other))
		}
		out[i] = silhouette(int(r.Clusters[i]), sums, rows)
	})
	return out, err
}

// silhouette is that of a row of cluster own, whose distances to the rows of each cluster are added up.
func silhouette(own int, sums []float64, rows []int64) float64 {
	inside, outside := sums[own]/float64(rows[own]-1), math.Inf(1)
	for c, sum := range sums {
		if c != own && rows[c] > 0 {
			outside = min(outside, sum/float64(rows[c]))
		}
	}
	if rows[own] == 1 || inside == outside {
		return 0
	}
	return (outside - inside) / max(outside, inside)
}

// across gives the first rows' points, row by row.
func (r *ClusterRows) across(n int) [][]float64 {
	all := make([]float64, n*len(r.Points))
	out := make([][]float64, n)
	for i := range out {
		out[i] = all[i*len(r.Points) : (i+1)*len(r.Points)]
		for c, column := range r.Points {
			out[i][c] = column[i]
		}
	}
	return out
}

// gap is the squared distance of two points.
func gap(a, b []float64) float64 {
	b = b[:len(a)]
	var even, odd float64
	i := 0
	for ; i+1 < len(a); i += 2 {
		d, e := a[i]-b[i], a[i+1]-b[i+1]
		even += float64(d * d)
		odd += float64(e * e)
	}
	if i < len(a) {
		d := a[i] - b[i]
		even += float64(d * d)
	}
	return even + odd
}

// spreads compare how far the rows' clusters are apart with how wide they are: the ratio of T. Caliński and J. Harabasz (1974), of which
// more is better, and that of D. Davies and D. Bouldin (1979), of which less is. Centres are the means of the rows judged. NaN with one
// cluster, or as many as rows.
func (r *ClusterRows) spreads() (between, width float64) {
	rows, occur := r.counts(len(r.Clusters))
	n := len(r.Clusters)
	if occur < 2 || occur > n-1 {
		return math.NaN(), math.NaN()
	}
	middle, middles := make([]float64, len(r.Points)), make([][]float64, r.K)
	for c := range middles {
		middles[c] = make([]float64, len(r.Points))
	}
	gaps := make([]float64, n) // of each row from its middle
	for f, column := range r.Points {
		for i, v := range column {
			middle[f] += v / float64(n)
			middles[r.Clusters[i]][f] += v / float64(rows[r.Clusters[i]])
		}
		for i, v := range column {
			d := v - middles[r.Clusters[i]][f]
			gaps[i] += float64(d * d)
		}
	}
	inside, outside, wide := 0.0, 0.0, make([]float64, r.K)
	for i, g := range gaps {
		inside += g
		wide[r.Clusters[i]] += math.Sqrt(g) / float64(rows[r.Clusters[i]])
	}
	for c, own := range middles {
		if rows[c] > 0 {
			outside += float64(float64(rows[c]) * gap(own, middle))
		}
	}
	between = 1
	if inside > 0 {
		between = float64(outside*float64(n-occur)) / float64(inside*float64(occur-1))
	}
	return between, overlap(middles, wide, rows) / float64(occur)
}

// overlap adds up, for each cluster with rows, the largest ratio of two clusters' widths to the distance of their middles.
func overlap(middles [][]float64, wide []float64, rows []int64) float64 {
	sum := 0.0
	for c := range middles {
		most := 0.0
		for other := range middles {
			if d := math.Sqrt(gap(middles[c], middles[other])); rows[c] > 0 && rows[other] > 0 && d > 0 {
				most = max(most, (wide[c]+wide[other])/d)
			}
		}
		sum += most
	}
	return sum
}

// table counts rows by label and cluster.
func (r *ClusterRows) table() [][]int64 {
	out := make([][]int64, len(r.Names))
	for y := range out {
		out[y] = make([]int64, r.K)
	}
	for i, y := range r.Labels {
		if y >= 0 {
			out[y][r.Clusters[i]]++
		}
	}
	return out
}

// agreement compares labels with clusters by a table of counts: the Rand index adjusted for chance (L. Hubert and P. Arabie 1985), normalized
// mutual information with the arithmetic mean, and V-measure with its parts (A. Rosenberg and J. Hirschberg 2007). NaN of no rows.
func agreement(table [][]int64) map[string]float64 {
	n, pairs := 0.0, 0.0
	byCluster := []float64{}
	byLabel := make([]float64, len(table))
	for y, line := range table {
		for c, count := range line {
			if c == len(byCluster) {
				byCluster = append(byCluster, 0)
			}
			v := float64(count)
			n, pairs = n+v, pairs+float64(v*v)
			byLabel[y] += v
			byCluster[c] += v
		}
	}
	shared := 0.0
	for y, line := range table {
		for c, count := range line {
			if v := float64(count); v > 0 {
				shared += float64(v / n * (math.Log(v/n) - math.Log(byLabel[y]/n) - math.Log(byCluster[c]/n)))
			}
		}
	}
	shared = max(shared, 0)
	labels, clusters := entropy(byLabel, n), entropy(byCluster, n)
	m := map[string]float64{"adjusted_rand": adjustedRand(n, pairs, byLabel, byCluster), "homogeneity": 1, "completeness": 1, "normalized_mutual_info": 1}
	if labels > 0 {
		m["homogeneity"] = shared / labels
	}
	if clusters > 0 {
		m["completeness"] = shared / clusters
	}
	if labels > 0 || clusters > 0 {
		m["normalized_mutual_info"] = 2 * shared / (labels + clusters)
	}
	m["v_measure"] = 0
	if h, c := m["homogeneity"], m["completeness"]; h+c > 0 {
		m["v_measure"] = float64(2*h*c) / (h + c)
	}
	if n == 0 {
		for name := range m {
			m[name] = math.NaN()
		}
	}
	return m
}

// adjustedRand is by the pairs of rows that are together in both, in one of them or in none; pairs is the sum of the cells' squares.
func adjustedRand(n, pairs float64, byLabel, byCluster []float64) float64 {
	labels, clusters := squares(byLabel), squares(byCluster)
	both, onlyCluster, onlyLabel := pairs-n, clusters-pairs, labels-pairs
	none := float64(n*n) - onlyCluster - onlyLabel - pairs
	if onlyCluster == 0 && onlyLabel == 0 {
		return 1
	}
	return 2 * (float64(both*none) - float64(onlyLabel*onlyCluster)) /
		(float64((both+onlyLabel)*(onlyLabel+none)) + float64((both+onlyCluster)*(onlyCluster+none)))
}

func squares(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += float64(v * v)
	}
	return sum
}

// entropy of counts that add up to n, in natural units; exactly 0 where all are of one kind.
func entropy(counts []float64, n float64) float64 {
	sum := 0.0
	for _, v := range counts {
		if v > 0 {
			sum -= float64(v / n * math.Log(v/n))
		}
	}
	return max(sum, 0)
}

// byCluster tells of each cluster.
func (r *ClusterRows) byCluster(silhouettes []float64) *Clusters {
	out := &Clusters{Clusters: make([]Cluster, r.K), Silhouette: int64(len(silhouettes)), Labels: r.Names}
	sums, far := make([]float64, r.K), make([]float64, r.K)
	for i, c := range r.Clusters {
		out.Clusters[c].Rows++
		sums[c] += r.Distances[i]
		far[c] = max(far[c], r.Distances[i])
	}
	shapes := make([]float64, r.K)
	for i, s := range silhouettes {
		shapes[r.Clusters[i]] += s
	}
	sampled, _ := r.counts(len(silhouettes))
	for c := range out.Clusters {
		own := &out.Clusters[c]
		if own.Rows > 0 {
			own.Distance, own.Farthest = known(sums[c]/float64(own.Rows)), known(far[c])
		}
		own.Silhouette = known(shapes[c] / float64(sampled[c]))
	}
	if r.Names != nil {
		out.Table = r.table()
		for _, y := range r.Labels {
			if y < 0 {
				out.Unlabelled++
			}
		}
	}
	return out
}

// clusterSampler counts rows by label and cluster, and adds up distances and silhouettes, which are not computed again: they are those that
// the rows have among all.
type clusterSampler struct {
	n              int
	codes          []int32
	cell           []int32 // of the row, label by label; -1 = no label
	labels, k      int
	rows, squares  []float64
	shaped, shapes []float64 // rows with a silhouette, and their silhouettes
}

func newClusterSampler(r ClusterRows, silhouettes []float64) *clusterSampler {
	s := &clusterSampler{labels: len(r.Names), k: r.K, cell: make([]int32, len(r.Clusters))}
	s.codes, s.n = codesOf(r.Groups, len(r.Clusters))
	for i, c := range r.Clusters {
		s.cell[i] = -1
		if r.Names != nil && r.Labels[i] >= 0 {
			s.cell[i] = r.Labels[i]*int32(r.K) + c
		}
	}
	s.rows = sums(s.codes, s.n, func(int) float64 { return 1 })
	s.squares = sums(s.codes, s.n, func(i int) float64 { return float64(r.Distances[i] * r.Distances[i]) })
	s.shaped = sums(s.codes[:len(silhouettes)], s.n, func(int) float64 { return 1 })
	s.shapes = sums(s.codes[:len(silhouettes)], s.n, func(i int) float64 { return silhouettes[i] })
	return s
}

func (s *clusterSampler) groups() int { return s.n }

func (s *clusterSampler) sample(weights []uint8) map[string][lanes]float64 {
	counts := make([][lanes]int64, s.labels*s.k)
	for i, g := range s.codes {
		if s.cell[i] < 0 {
			continue
		}
		w, c := (*[lanes]uint8)(weights[int(g)*lanes:]), &counts[s.cell[i]]
		for lane := range c {
			c[lane] += int64(w[lane])
		}
	}
	rows, squares, shaped, shapes := weighted(s.rows, weights), weighted(s.squares, weights), weighted(s.shaped, weights), weighted(s.shapes, weights)
	table := make([][]int64, s.labels)
	for y := range table {
		table[y] = make([]int64, s.k)
	}
	out := map[string][lanes]float64{}
	for lane := range lanes {
		for at, c := range counts {
			table[at/s.k][at%s.k] = c[lane]
		}
		m := agreement(table)
		m["silhouette"], m["inertia"] = shapes[lane]/shaped[lane], squares[lane]/rows[lane]
		for _, name := range intervalNames[Clustering] {
			values := out[name]
			values[lane] = m[name]
			out[name] = values
		}
	}
	return out
}
