package sqlite_test

import (
	"strings"
	"testing"

	"damson/internal/store"
)

// TestPlans keeps the queries that run all the time from reading what has ended, whatever their number.
func TestPlans(t *testing.T) {
	t.Parallel()
	db := fresh(t)(t)
	s, err := store.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for query, index := range map[string]string{
		`SELECT * FROM runs WHERE state IN ('queued', 'running') ORDER BY data_start, pipeline`:                                                "runs_state (state=?)",
		`SELECT * FROM runs WHERE pipeline = 'p' AND state IN ('success') AND data_start <= 5 ORDER BY data_start DESC, pipeline DESC LIMIT 1`: "runs_pipeline_state (pipeline=? AND state=? AND data_start<?)",
		`SELECT * FROM runs WHERE pipeline = 'p' AND data_start >= 2 AND data_start <= 5 ORDER BY data_start, pipeline`:                        "runs_interval (pipeline=? AND data_start>? AND data_start<?)",
		`SELECT * FROM runs WHERE pipeline = 'p' ORDER BY data_start DESC, pipeline DESC LIMIT 20`:                                             "runs_interval (pipeline=?)",
		`SELECT * FROM runs WHERE state IN ('failed') ORDER BY data_start DESC, pipeline DESC LIMIT 20`:                                        "runs_state (state=?)",
		`SELECT * FROM runs ORDER BY data_start DESC, pipeline DESC LIMIT 20`:                                                                  "runs_start",
		`SELECT * FROM runs r JOIN task_runs t ON t.run_id = r.id WHERE r.id IN ('a', 'b')`:                                                    "t USING PRIMARY KEY (run_id=?)",
		`SELECT * FROM messages WHERE recipient = 'w' AND id > 0 ORDER BY id LIMIT 1000`:                                                       "messages_recipient (recipient=? AND id>?)",
		`SELECT MAX(id) FROM reasons WHERE subject = 'r' OR (subject > 'r ' AND subject < 'r!') GROUP BY subject`:                              "reasons_subject",
		`SELECT * FROM history WHERE run_id = 'r' AND task = 'x' ORDER BY id`:                                                                  "history_task (run_id=? AND task=?)",
		`SELECT run_id, task, attempt, at, level, text FROM logs WHERE run_id = 'r' AND task = 'x' AND (0 = 0 OR attempt = 0) ORDER BY id`:     "logs_task (run_id=? AND task=?)",
	} {
		rows, err := db.Reader().QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		_ = rows.Close()
		all := strings.Join(plan, "\n")
		if !strings.Contains(all, index) {
			t.Errorf("%s\ndoes not use %s:\n%s", query, index, all)
		}
	}
}
