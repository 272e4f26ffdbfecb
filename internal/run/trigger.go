package run

import (
	"fmt"
	"strings"
)

// TriggerRule says when a task may start, given how the tasks before it ended. Names and meaning are Airflow's.
type TriggerRule string

const (
	AllSuccess              TriggerRule = "all_success"
	AllFailed               TriggerRule = "all_failed"
	AllDone                 TriggerRule = "all_done"
	AllDoneMinOneSuccess    TriggerRule = "all_done_min_one_success"
	AllSkipped              TriggerRule = "all_skipped"
	OneSuccess              TriggerRule = "one_success"
	OneFailed               TriggerRule = "one_failed"
	OneDone                 TriggerRule = "one_done"
	NoneFailed              TriggerRule = "none_failed"
	NoneFailedMinOneSuccess TriggerRule = "none_failed_min_one_success"
	NoneSkipped             TriggerRule = "none_skipped"
	Always                  TriggerRule = "always"
)

// TriggerRules lists the names of all trigger rules, the default first.
func TriggerRules() []string {
	return []string{string(AllSuccess), string(AllFailed), string(AllDone), string(AllDoneMinOneSuccess), string(AllSkipped),
		string(OneSuccess), string(OneFailed), string(OneDone), string(NoneFailed), string(NoneFailedMinOneSuccess),
		string(NoneSkipped), string(Always)}
}

// Verdict is what is to be done with a task run that waits.
type Verdict string

const (
	VerdictWait           Verdict = "wait"
	VerdictRun            Verdict = "run"
	VerdictSkip           Verdict = "skip"
	VerdictUpstreamFailed Verdict = "upstream_failed"
)

// Decision is a verdict and, in words, why.
type Decision struct {
	Verdict Verdict
	Reason  string
}

// Decide judges a task by its trigger rule and the states of the tasks directly before it. A task that has none before it
// runs. The verdict does not depend on the order in which the tasks before it end: where Airflow skips a task of rule
// all_success as soon as it sees a skipped task, Decide waits for the others, because one that fails makes it
// upstream_failed.
func Decide(rule TriggerRule, upstream []State) Decision {
	var t Tally
	for _, s := range upstream {
		t.Add(s)
	}
	t.Total = len(upstream)
	return t.Decide(rule)
}

// Tally counts how the tasks before a task ended, so that each end costs one step and not one for each neighbour.
type Tally struct {
	Total                                             int // tasks before it, ended or not
	Success, Failed, UpstreamFailed, Skipped, Removed int
}

// Add counts a task that ended in state s; a state that is not an end counts nothing.
func (t *Tally) Add(s State) {
	switch s {
	case Success:
		t.Success++
	case Failed:
		t.Failed++
	case UpstreamFailed:
		t.UpstreamFailed++
	case Skipped:
		t.Skipped++
	case Removed:
		t.Removed++
	}
}

// bad counts those that failed, by themselves or by what stood before them.
func (t *Tally) bad() int { return t.Failed + t.UpstreamFailed }

func (t *Tally) ended() int { return t.Success + t.bad() + t.Skipped + t.Removed }

// Decide is the function Decide on counts.
func (t *Tally) Decide(rule TriggerRule) Decision {
	v := t.Verdict(rule)
	return Decision{Verdict: v, Reason: t.reason(rule, v)}
}

// Verdict is Decide without its reason. A verdict other than wait is final: whatever the other tasks do, it stays.
func (t *Tally) Verdict(rule TriggerRule) Verdict {
	all := t.ended() >= t.Total
	switch {
	case t.Total == 0 || rule == Always:
		return VerdictRun
	case rule == AllDone:
		return when(all, VerdictRun)
	case rule == AllDoneMinOneSuccess:
		return first(when(t.Skipped > 0, VerdictSkip), when(all && t.Success == 0, VerdictUpstreamFailed), when(all, VerdictRun))
	case rule == AllFailed:
		return first(when(t.Success+t.Skipped+t.Removed > 0, VerdictSkip), when(all, VerdictRun))
	case rule == AllSkipped:
		return first(when(t.Success+t.bad()+t.Removed > 0, VerdictSkip), when(all, VerdictRun))
	case rule == NoneSkipped:
		return first(when(t.Skipped > 0, VerdictSkip), when(all, VerdictRun))
	case rule == OneSuccess:
		return first(when(t.Success > 0, VerdictRun), when(all && t.Skipped == t.Total, VerdictSkip), when(all, VerdictUpstreamFailed))
	case rule == OneFailed:
		return first(when(t.bad() > 0, VerdictRun), when(all, VerdictSkip))
	case rule == OneDone:
		return first(when(t.Success+t.Failed > 0, VerdictRun), when(all, VerdictSkip))
	case rule == NoneFailed:
		return first(when(t.bad() > 0, VerdictUpstreamFailed), when(all, VerdictRun))
	case rule == NoneFailedMinOneSuccess:
		return first(when(t.bad() > 0, VerdictUpstreamFailed), when(all && t.Success == 0, VerdictSkip), when(all, VerdictRun))
	}
	// AllSuccess, and the empty rule, which means it.
	return first(when(t.bad() > 0, VerdictUpstreamFailed), when(all && t.Success < t.Total, VerdictSkip), when(all, VerdictRun))
}

// when gives v when the condition holds, and wait otherwise.
func when(holds bool, v Verdict) Verdict {
	if holds {
		return v
	}
	return VerdictWait
}

// first gives the first verdict that is not to wait.
func first(verdicts ...Verdict) Verdict {
	for _, v := range verdicts {
		if v != VerdictWait {
			return v
		}
	}
	return VerdictWait
}

// reason tells the counts behind a verdict; that a task runs needs no reason.
func (t *Tally) reason(rule TriggerRule, v Verdict) string {
	if v == VerdictRun {
		return ""
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{t.Success, "success"}, {t.Failed, "failed"}, {t.UpstreamFailed, "upstream_failed"}, {t.Skipped, "skipped"},
		{t.Removed, "removed"}, {t.Total - t.ended(), "not ended"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return fmt.Sprintf("%s: of %s, %s", rule, count(t.Total, "task before it", "tasks before it"), strings.Join(parts, ", "))
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// CanRun judges a task that depends on its past by the state of the same task in the run before: it runs after one that
// succeeded or was skipped, or when there is no run before or that run lacks the task (prev "" or removed).
func CanRun(dependsOnPast bool, prev State) Decision {
	switch {
	case !dependsOnPast, prev == "", prev == Success, prev == Skipped, prev == Removed:
		return Decision{Verdict: VerdictRun}
	case prev == Failed, prev == UpstreamFailed:
		return Decision{Verdict: VerdictUpstreamFailed, Reason: "depends_on_past: it is " + string(prev) + " in the run before"}
	}
	return Decision{Verdict: VerdictWait, Reason: "depends_on_past: it is " + string(prev) + " in the run before"}
}
