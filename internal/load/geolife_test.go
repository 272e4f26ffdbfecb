package load_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"damson/internal/pipeline"
)

// geolife unpacks the real GeoLife files of the shared data, or skips the test where they are not at hand.
func geolife(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("DAMSON_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	archive := filepath.Join(shared, "data", "geolife-a.tar.xz")
	if _, err := os.Stat(archive); err != nil {
		t.Skipf("no GeoLife data: %v (set DAMSON_SHARED to the directory that holds data/geolife-a.tar.xz)", err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "tar", "-xJf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Skipf("tar cannot unpack %s: %v\n%s", archive, err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "Data"))
	if err == nil && len(found) == 1 {
		return filepath.Dir(found[0])
	}
	return dir
}

// TestGeoLife loads real files; the counts are those that the data's description gives.
func TestGeoLife(t *testing.T) {
	t.Parallel()
	root := geolife(t)
	p := newPlace(t)
	points := pipeline.Load{
		Files: []string{"Data/*/Trajectory/*.plt"}, Root: root, Format: "plt", Into: "geolife.points",
		FilenameColumn: "src", LineColumn: "line", FilenameFields: `Data/(?P<uid>[^/]+)/Trajectory/`,
	}
	labels := pipeline.Load{
		Files: []string{"Data/*/labels.txt"}, Root: root, Format: "tsv", Into: "geolife.labels", Header: true,
		FilenameFields: `Data/(?P<uid>[^/]+)/`,
		Columns:        declare("start_time timestamp, end_time timestamp, transportation_mode text"),
	}
	for range 2 {
		p.load(points)
		p.load(labels)
	}
	p.expect("select count(*), count(distinct src), count(distinct uid), min(line), min(tdate) >= '2007-04-12' from geolife.points", "38490|342|19|7|true")
	p.expect("select count(*), count(distinct uid) from geolife.labels", "5879|19")
	p.expect("select count(*) from geolife.points where abs(days - (epoch(tdate + ttime) / 86400 + 25569)) > 1e-5", "0")
	p.expect("select count(*) from damson.rejects", "0")
}
