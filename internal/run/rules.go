package run

import (
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"time"
)

// NewID names the run of a pipeline over the data interval that begins at start: "geolife@2007-04-12", with the time when
// it is not midnight ("geolife@2007-04-12T05:00:00"), and with the offset of a zone other than UTC, so that the doubled hour
// of a clock change has two names. How the run came about is not part of it: a date has one run.
func NewID(pipeline string, start time.Time) string {
	h, m, s := start.Clock()
	midnight := h == 0 && m == 0 && s == 0 && start.Nanosecond() == 0
	switch {
	case midnight && start.Add(-time.Hour).Day() != start.Day():
		return pipeline + "@" + start.Format(time.DateOnly)
	case start.Location() == time.UTC:
		return pipeline + "@" + start.Format("2006-01-02T15:04:05.999999999")
	}
	return pipeline + "@" + start.Format("2006-01-02T15:04:05.999999999-07:00")
}

// Interval is a data interval: Start is the logical date. It has no width when the schedule's intervals have none.
type Interval struct{ Start, End time.Time }

// RetryPolicy is how long a task waits between attempts.
type RetryPolicy struct {
	Delay   time.Duration // before the second attempt
	Backoff float64       // each delay is the last one times this; 1 or less = constant
	Max     time.Duration // 0 = one day, or Delay when that is longer
}

// RetryDelay is the time between the failures-th failed attempt and the next one: exponential backoff, spread by up to a
// fifth either way so that tasks that failed together do not come back together, and never more than the policy's bound.
// The same seed and number give the same delay.
func RetryDelay(p RetryPolicy, failures int, seed uint64) time.Duration {
	if p.Delay <= 0 {
		return 0
	}
	bound := p.Max
	if bound <= 0 {
		bound = max(24*time.Hour, p.Delay)
	}
	h := fnv.New64a()
	h.Write([]byte(strconv.FormatUint(seed, 16) + "/" + strconv.Itoa(failures)))
	spread := 0.8 + 0.4*float64(h.Sum64()>>11)/(1<<53)
	delay := float64(p.Delay) * math.Pow(max(p.Backoff, 1), float64(max(failures, 1)-1)) * spread
	if delay >= float64(bound) {
		return bound
	}
	return time.Duration(delay)
}

// Outcome is how a run ends whose tasks have all ended, by its leaves (the tasks that none comes after), as in Airflow:
// failed when one of them failed or is upstream_failed, and success otherwise.
func Outcome(leaves []State) State {
	for _, s := range leaves {
		if s == Failed || s == UpstreamFailed {
			return Failed
		}
	}
	return Success
}

// Graph is the order of a pipeline's tasks: for each task, in a topological order, the tasks directly before it.
type Graph struct {
	Tasks    []string
	Upstream map[string][]string
}

// Scope lists, in the graph's order, the tasks that a clear of the chosen ones touches: themselves, what comes before them
// (upstream) and what comes after them (downstream). No chosen task means all.
func (g Graph) Scope(chosen []string, upstream, downstream bool) []string {
	if len(chosen) == 0 {
		return slices.Clone(g.Tasks)
	}
	in := map[string]bool{}
	for _, name := range chosen {
		in[name] = true
	}
	before, after := map[string]bool{}, map[string]bool{}
	for _, name := range slices.Backward(g.Tasks) {
		if in[name] || before[name] {
			for _, u := range g.Upstream[name] {
				before[u] = true
			}
		}
	}
	for _, name := range g.Tasks {
		for _, u := range g.Upstream[name] {
			after[name] = after[name] || in[u] || after[u]
		}
	}
	var scope []string
	for _, name := range g.Tasks {
		if in[name] || upstream && before[name] || downstream && after[name] {
			scope = append(scope, name)
		}
	}
	return scope
}
