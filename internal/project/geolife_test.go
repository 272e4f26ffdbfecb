package project_test

import (
	"testing"

	"damson/internal/project"
)

// TestGeoLife validates the example that ships with Damson.
func TestGeoLife(t *testing.T) {
	t.Parallel()
	const dir = "../../examples/geolife"
	p, findings := project.Load(dir, project.Options{})
	if len(findings) > 0 {
		t.Fatalf("findings:\n%s", findings.Error())
	}
	if len(p.Pipelines) == 0 || len(p.Models) == 0 {
		t.Errorf("%d pipelines, %d models", len(p.Pipelines), len(p.Models))
	}
}
