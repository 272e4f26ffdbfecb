package run

// Choice is what a branch or short_circuit task decided about the tasks after it. It is kept with the task run, so that a
// clear of a later task meets the same decision.
type Choice struct {
	Tasks []string `json:"tasks"`          // of those directly after it, the ones that may run
	Stop  string   `json:"stop,omitempty"` // not empty: nothing after it runs, and why
}
