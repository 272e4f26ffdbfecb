package cli_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/driver"
	"damson/internal/store/postgres"
	"damson/internal/store/sqlite"
)

var (
	kills     = flag.Int("kills", 12, "how many processes TestChaos kills on each store")
	chaosSeed = flag.Uint64("chaos-seed", 0, "what TestChaos draws from; 0 = another each time")
)

// chaosFiles are a project with tasks of most kinds, and a pipeline that runs on what another writes. LAST, ACTIVE and NAP are
// its last day, how many runs it has at a time and how long its slow tasks take.
var chaosFiles = map[string]string{
	"damson.yaml": "name: chaos\nvars:\n  nap: NAP\nenvironments:\n  dev:\n    warehouse: 'WAREHOUSE'\n",
	"pipelines/chaos.star": `
daily = pipeline(name = "daily", schedule = "@daily", start = "2024-01-01", end = "LAST", catchup = True,
                 max_active_runs = ACTIVE, retries = 5, retry_delay = "1s")
numbers = daily.sql("numbers", into = "c.numbers", partition_by = "day", batch = True)
sums = daily.sql("sums", into = "c.sums", partition_by = "day", native = True)
log = daily.sql("log", into = "c.log", mode = "append")
slow = daily.sql("slow")
note = daily.shell("note", command = "echo {{ run_id }} >> notes.txt; sleep {{ var.value.nap }}")
cells = daily.sql("cells", into = "c.cells", mode = "append").map(over = ["a", "b", "c"])
slept = daily.sensor("slept", sql = "slept", every = "1s")
flaky = daily.shell("flaky", command = "[ -e flags/{{ ds }} ] || { touch flags/{{ ds }}; [ {{ logical_date.day }} -gt 4 ]; }")
strict = daily.sql("strict", into = "c.strict", partition_by = "day", retries = 1)
numbers >> [sums, log, slow, slept, strict]
slept >> cells
note >> flaky

learn = pipeline(name = "learn", on = [sums], retries = 5, retry_delay = "1s")
learn.sql("labels", into = "c.labels", mode = "append")
`,
	"sql/numbers.sql": `select cast(day as date) as day, cast(n as bigint) as n from generate_series(timestamp '{{ data_interval_start | ds }}',
	timestamp '{{ data_interval_end | ds }}' - interval '1 day', interval '1 day') as d(day), generate_series(0, 999) as r(n)
`,
	"sql/sums.sql": "select day, sum(n)::bigint as total from c.numbers where day = date '{{ ds }}' group by day\n",
	"sql/log.sql":  "select date '{{ ds }}' as day, '{{ run_id }}' as run\n",
	"sql/slow.sql": `create table if not exists c.slept (day date);
insert into c.slept values (date '{{ ds }}');
{% if warehouse.kind == "duckdb" -%}
select count(*) from range((4000 * {{ var.value.nap }} + 1)::bigint) a, range(20000) b where a.range * b.range = -1;
{%- else -%}
select pg_sleep({{ var.value.nap }});
{%- endif %}
`,
	"sql/slept.sql":  "select count(*) > 0 from c.slept where day = date '{{ ds }}'\n",
	"sql/cells.sql":  "select date '{{ ds }}' as day, '{{ item }}' as cell\n",
	"sql/strict.sql": "select date '{{ ds }}' as day, cast(case when '{{ ds }}' = '2024-01-07' then 'not on this day' end as bigint) as why\n",
	"sql/labels.sql": "select date '{{ ds }}' as day, '{{ run_id }}' as run\n",
	"flags/.keep":    "",
	".damson/.keep":  "",
}

// chaosQuery shows every row that a lost or doubled task would change, and the ledger.
const chaosQuery = `select 'numbers' as what, day::varchar as of, count(*)::varchar as n, sum(n)::varchar as v from c.numbers group by day
union all select 'sums', day::varchar, count(*)::varchar, sum(total)::varchar from c.sums group by day
union all select 'log', day::varchar, count(*)::varchar, run from c.log group by day, run
union all select 'slept', day::varchar, count(*)::varchar, '' from c.slept group by day
union all select 'cells', day::varchar, count(*)::varchar, cell from c.cells group by day, cell
union all select 'strict', day::varchar, count(*)::varchar, '' from c.strict group by day
union all select 'labels', day::varchar, count(*)::varchar, run from c.labels group by day, run
union all select 'ledger', run_id, count(*)::varchar, task from damson.ledger where result is not null group by run_id, task
order by 1, 2, 3, 4`

// writeChaos writes the project.
func writeChaos(t *testing.T, warehouse string, days int, active, nap string) string {
	t.Helper()
	dir := t.TempDir()
	last := time.Date(2024, 1, days, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	r := strings.NewReplacer("LAST", last, "ACTIVE", active, "NAP", nap, "WAREHOUSE", warehouse)
	for name, text := range chaosFiles {
		writeFile(t, dir, name, r.Replace(text))
	}
	return dir
}

// embeddedURL is the warehouse that a project has without further setting.
const embeddedURL = "duckdb:.damson/warehouse.duckdb"

// TestChaos kills -9 servers at random moments, stops some past their lease, and takes the store away: on a SQLite store, on a
// PostgreSQL store that three processes share, and with the warehouse in PostgreSQL as well, where any may lead and all work. In
// the end all is as after an undisturbed run, and no task run has committed twice.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	days := 2 * max(*kills, 8)
	want := undisturbed(t, days)
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		c := newChaos(t, embeddedURL, seed, days)
		c.openStore(func() (driver.DB, error) {
			return sqlite.Open(t.Context(), filepath.Join(c.dir, ".damson", "store.sqlite"))
		})
		c.roles = [][]string{{"serve", "--listen", "", "--lease", "1s", "--parallel", "3"}}
		c.wreak(*kills)
		want.compare(t, c.outcome())
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		c := newChaos(t, embeddedURL, seed, days)
		c.postgres = []*pgtest.Server{pgtest.Start(t)}
		c.shareStore(c.postgres[0].Database(t))
		c.roles = [][]string{{"serve", "--listen", "", "--lease", "1s", "--parallel", "2"}, {"serve", "--listen", "", "--lease", "1s", "--parallel", "2"},
			{"worker", "--lease", "1s", "--parallel", "1"}}
		c.wreak(*kills)
		want.compare(t, c.outcome())
	})
	t.Run("warehouse", func(t *testing.T) {
		t.Parallel()
		warehouse := pgtest.Start(t)
		c := newChaos(t, warehouse.Database(t), seed, days)
		c.postgres = []*pgtest.Server{pgtest.Start(t), warehouse}
		c.shareStore(c.postgres[0].Database(t))
		c.roles = [][]string{{"serve", "--listen", "", "--lease", "1s", "--parallel", "2"}, {"serve", "--listen", "", "--lease", "1s", "--parallel", "1"},
			{"serve", "--listen", "", "--lease", "1s", "--no-worker"}, {"serve", "--listen", "", "--lease", "1s", "--parallel", "2", "--no-scheduler"}}
		c.freezes, c.longest = 3, 4*time.Second // long enough for others to do its work while its transaction stands open
		c.wreak(*kills)
		want.compare(t, c.outcome())
	})
}

// undisturbed gives what the project comes to when nothing happens to it.
func undisturbed(t *testing.T, days int) outcome {
	t.Helper()
	c := &chaos{t: t, dir: writeChaos(t, embeddedURL, days, "40", "0"), days: days}
	c.openStore(func() (driver.DB, error) {
		return sqlite.Open(t.Context(), filepath.Join(c.dir, ".damson", "store.sqlite"))
	})
	s := serve(t, c.dir)
	c.awaitEnd()
	s.stop(t)
	return c.outcome()
}

// chaos kills, stops and resumes the processes on a project, and stops its store.
type chaos struct {
	t        *testing.T
	dir      string
	days     int
	rng      *rand.Rand
	store    *store.Store
	postgres []*pgtest.Server // that go away now and then; none: store and warehouse are in the project
	env      []string         // of all processes
	roles    [][]string       // the command of each process
	servers  []*server        // one for each role
	freezes  int              // one of so many kills comes with a process that is stopped for a while
	longest  time.Duration    // that

	began                            time.Time
	busy, frozen, outages, restarted int // for the summary; busy are the kills while there was work
}

func newChaos(t *testing.T, warehouse string, seed uint64, days int) *chaos {
	t.Logf("again with: -chaos-seed %d", seed)
	return &chaos{t: t, dir: writeChaos(t, warehouse, days, "2", "0.3"), days: days, rng: rand.New(rand.NewPCG(seed, 0)),
		began: time.Now(), freezes: 5, longest: 2500 * time.Millisecond}
}

// openStore opens the store for the test itself.
func (c *chaos) openStore(open func() (driver.DB, error)) {
	c.t.Helper()
	db, err := open()
	if err == nil {
		c.store, err = store.New(c.t.Context(), db)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = c.store.Close() })
}

// shareStore has all processes use the store at a URL.
func (c *chaos) shareStore(url string) {
	c.t.Helper()
	c.env = []string{"DAMSON_STORE=" + url}
	c.openStore(func() (driver.DB, error) { return postgres.Open(c.t.Context(), url) })
}

// sleep lets a random time pass.
func sleep(rng *rand.Rand, least, most time.Duration) {
	time.Sleep(least + time.Duration(rng.Int64N(int64(most-least))))
}

// wreak starts the processes, kills n of them one after the other, and lets those that are left come to the end.
func (c *chaos) wreak(n int) {
	c.t.Helper()
	for _, role := range c.roles {
		c.servers = append(c.servers, startServer(c.t, c.dir, c.env, role...))
	}
	mend := c.breakStore(n)
	for k := 1; k <= n; k++ {
		sleep(c.rng, 200*time.Millisecond, 1500*time.Millisecond)
		if c.rng.IntN(c.freezes) == 0 {
			c.freeze(c.rng.IntN(len(c.servers)))
		}
		if c.missing() != "" {
			c.busy++
		}
		i := c.rng.IntN(len(c.servers))
		c.servers[i].kill()
		sleep(c.rng, 0, 600*time.Millisecond)
		c.start(i)
		c.revive()
		if k%10 == 0 {
			c.t.Logf("%d of %d kills after %s", k, n, time.Since(c.began).Round(time.Second))
		}
	}
	mend()
	c.awaitEnd()
	c.awaitCrew()
	for _, s := range c.servers {
		s.stop(c.t)
	}
	c.t.Logf("%d kills (%d while there was work), %d processes frozen, %d outages of a database, %d starts that met one; %s for %d days",
		n, c.busy, c.frozen, c.outages, c.restarted, time.Since(c.began).Round(100*time.Millisecond), c.days)
}

// start starts the process of a role again.
func (c *chaos) start(i int) { c.servers[i] = startServer(c.t, c.dir, c.env, c.roles[i]...) }

// freeze stops a process past its lease, and lets it go on.
func (c *chaos) freeze(i int) {
	c.frozen++
	c.servers[i].signal(syscall.SIGSTOP)
	sleep(c.rng, 1100*time.Millisecond, c.longest)
	c.servers[i].signal(syscall.SIGCONT)
}

// revive starts those again that could not begin because the store was away. Nothing else ends a process by itself.
func (c *chaos) revive() {
	c.t.Helper()
	for i, s := range c.servers {
		select {
		case <-s.ended:
		default:
			continue
		}
		if c.postgres == nil || strings.Contains(s.log.String(), "Damson serves") {
			c.t.Fatalf("%s has ended by itself (%v):\n%s", s.name, s.err, s.log)
		}
		c.restarted++
		c.start(i)
	}
}

// breakStore takes a PostgreSQL server away for up to 2 s every now and then, until the function it gives is called.
func (c *chaos) breakStore(kills int) (mend func()) {
	if c.postgres == nil {
		return func() {}
	}
	least, most := 5*time.Second, 40*time.Second
	if kills < 50 {
		least, most = 2*time.Second, 6*time.Second
	}
	rng := rand.New(rand.NewPCG(c.rng.Uint64(), 1))
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-enough:
				return
			case <-time.After(least + time.Duration(rng.Int64N(int64(most-least)))):
			}
			server := c.postgres[rng.IntN(len(c.postgres))]
			end := []func(){server.Stop, server.Kill}[rng.IntN(2)]
			end()
			sleep(rng, 0, 2*time.Second)
			if err := server.Start(); err != nil {
				c.t.Error(err)
				return
			}
			c.outages++
		}
	}()
	mend = sync.OnceFunc(func() {
		close(enough)
		<-done
	})
	c.t.Cleanup(mend)
	return mend
}

// missing says what there is still to do.
func (c *chaos) missing() string {
	all, err := c.store.Runs(c.t.Context(), store.RunFilter{})
	if err != nil {
		return err.Error()
	}
	ended := map[string]int{}
	for _, r := range all {
		if r.State.Ended() {
			ended[r.Pipeline]++
		}
	}
	if ended["daily"] == c.days && ended["learn"] == c.days {
		return ""
	}
	return fmt.Sprintf("%v of %d runs each have ended", ended, c.days)
}

// awaitEnd waits until all runs have ended.
func (c *chaos) awaitEnd() {
	c.t.Helper()
	last, changed := "", time.Now()
	for {
		missing := c.missing()
		if missing == "" {
			return
		}
		if missing != last {
			last, changed = missing, time.Now()
		}
		if time.Since(changed) > patience {
			c.t.Fatalf("nothing advances any more: %s\n%s", missing, c.situation())
		}
		c.revive()
		time.Sleep(100 * time.Millisecond) // between two questions to the store
	}
}

// situation tells what is open, and what the processes say.
func (c *chaos) situation() string {
	var b strings.Builder
	open, err := c.store.Runs(c.t.Context(), store.RunFilter{States: []run.State{run.Queued, run.Running}})
	fmt.Fprintln(&b, "open runs:", len(open), err)
	for _, r := range open {
		tasks, err := c.store.TaskRuns(c.t.Context(), r.ID)
		fmt.Fprintln(&b, r.ID, r.State, err)
		for _, t := range tasks {
			if !t.State.Ended() {
				reasons, _ := c.store.Reasons(c.t.Context(), r.ID+" "+t.Task)
				fmt.Fprintln(&b, " ", t.Task, t.State, t.Attempt, t.Reason, reasons)
			}
		}
	}
	for _, s := range c.servers {
		s.signal(syscall.SIGQUIT) // it tells what its goroutines do
		_ = s.end(c.t)
		fmt.Fprintf(&b, "%s:\n%s", s.name, s.log)
	}
	return b.String()
}

// awaitCrew waits until all that live are registered, those too that were taken for dead.
func (c *chaos) awaitCrew() {
	c.t.Helper()
	eventually(c.t, func() string {
		c.revive()
		registered, err := c.store.Processes(c.t.Context())
		if err != nil {
			return err.Error()
		}
		for _, s := range c.servers {
			if !slices.ContainsFunc(registered, func(p store.Process) bool { return p.PID == s.cmd.Process.Pid }) {
				return s.name + " is not registered:\n" + s.log.String()
			}
		}
		return ""
	})
}

// outcome is what is compared.
type outcome struct {
	states []string // of all runs and their tasks
	rows   string   // of all tables and the ledger
	notes  []string // what the shell task left, each once
}

// outcome gives what everything has come to.
func (c *chaos) outcome() (o outcome) {
	c.t.Helper()
	runs, err := c.store.Runs(c.t.Context(), store.RunFilter{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range runs {
		o.states = append(o.states, r.ID+" "+string(r.State))
		tasks, err := c.store.TaskRuns(c.t.Context(), r.ID)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, t := range tasks {
			o.states = append(o.states, t.RunID+" "+t.Task+" "+string(t.State))
		}
	}
	slices.Sort(o.states)
	o.rows = damson(c.t, c.dir, "query", chaosQuery, "--format", "csv", "--limit", "0")
	notes, err := os.ReadFile(filepath.Join(c.dir, "notes.txt"))
	if err != nil {
		c.t.Fatal(err)
	}
	o.notes = strings.Fields(string(notes))
	slices.Sort(o.notes)
	o.notes = slices.Compact(o.notes)
	return o
}

// compare tells what differs from an undisturbed outcome.
func (o outcome) compare(t *testing.T, got outcome) {
	t.Helper()
	for _, part := range []struct {
		what      string
		want, got []string
	}{{"states", o.states, got.states}, {"rows", strings.Split(o.rows, "\n"), strings.Split(got.rows, "\n")}, {"notes", o.notes, got.notes}} {
		for _, line := range part.want {
			if !slices.Contains(part.got, line) {
				t.Errorf("%s: missing: %s", part.what, line)
			}
		}
		for _, line := range part.got {
			if !slices.Contains(part.want, line) {
				t.Errorf("%s: not in the undisturbed outcome: %s", part.what, line)
			}
		}
	}
}
