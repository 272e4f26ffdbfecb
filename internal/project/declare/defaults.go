package declare

import "time"

// TaskDefaults are the attributes that pipelines and tasks take over when they do not set them.
type TaskDefaults struct {
	Retries       int
	RetryDelay    time.Duration
	RetryBackoff  float64
	MaxRetryDelay time.Duration
	Timeout       time.Duration
	DependsOnPast bool
	// WaitForDownstream implies DependsOnPast.
	WaitForDownstream bool
	Priority          int
	Pool              string
	PoolSlots         int
}

// Defaults is the section of damson.yaml under that name.
type Defaults struct {
	TaskDefaults
	Owner          string
	Timezone       string
	Catchup        bool
	MaxActiveRuns  int
	MaxActiveTasks int
	RunTimeout     time.Duration
}
