package citydata_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/citydata"
)

func generate(t *testing.T, o citydata.Options) (string, citydata.Summary) {
	t.Helper()
	dir := t.TempDir()
	sum, err := citydata.Generate(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return dir, sum
}

// files reads every file under dir.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const header = "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n"

var (
	pltName   = regexp.MustCompile(`^Data/\d{3}/Trajectory/\d{14}\.plt$`)
	pltLine   = regexp.MustCompile(`^-?\d+\.\d+,-?\d+\.\d+,0,-?\d+,\d{5}\.\d{10},\d{4}-\d\d-\d\d,\d\d:\d\d:\d\d$`)
	labelName = regexp.MustCompile(`^Data/\d{3}/labels\.txt$`)
	labelLine = regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\t\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\t(walk|bike|bus|car|taxi|subway)$`)
)

// TestDemonstration reads the default city as a loader would and counts again.
func TestDemonstration(t *testing.T) {
	t.Parallel()
	dir, sum := generate(t, citydata.Options{Seed: 7})
	var got citydata.Summary
	modes, users := map[string]int{}, map[string]bool{}
	highLatitudes, unknownHeights, repeated, backwards, overMidnight, overlaps := 0, 0, 0, 0, 0, 0
	for path, text := range files(t, dir) {
		got.Bytes += int64(len(text))
		lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
		switch {
		case pltName.MatchString(path):
			got.Files++
			users[path[:8]] = true
			if !strings.HasPrefix(text, header) {
				t.Fatalf("%s does not begin with the header of a PLT file", path)
			}
			before := ""
			for _, line := range lines[6:] {
				if !pltLine.MatchString(line) {
					got.Broken++
					continue
				}
				got.Points++
				fields := strings.Split(line, ",")
				checkPoint(t, fields, line)
				if fields[0] == "140.0063166666667" {
					highLatitudes++
				}
				if fields[3] == "-777" {
					unknownHeights++
				}
				when := fields[5] + fields[6]
				if when == before {
					repeated++
				}
				if when < before {
					backwards++
				}
				before = when
				if got.FirstDate == "" || fields[5] < got.FirstDate {
					got.FirstDate = fields[5]
				}
				got.LastDate = max(got.LastDate, fields[5])
			}
		case labelName.MatchString(path):
			got.Labelled++
			got.Labels += len(lines) - 1
			if lines[0] != "Start Time\tEnd Time\tTransportation Mode" {
				t.Errorf("%s begins with %q", path, lines[0])
			}
			end := ""
			for _, line := range lines[1:] {
				if !labelLine.MatchString(line) {
					t.Fatalf("%s has the line %q", path, line)
				}
				fields := strings.Split(line, "\t")
				modes[fields[2]]++
				if fields[0] < end {
					overlaps++
				}
				end = fields[1]
				if fields[0][:10] != fields[1][:10] {
					overMidnight++
				}
			}
		default:
			t.Errorf("unexpected file %s", path)
		}
	}
	got.Users = len(users)
	if d := cmp.Diff(sum, got); d != "" {
		t.Errorf("the summary differs from the files (-summary +files):\n%s", d)
	}
	if highLatitudes != 1 {
		t.Errorf("%d latitudes of 140, want 1", highLatitudes)
	}
	if got.Users != 30 || got.Labelled != 20 || got.Points < 180_000 || got.Points > 260_000 || got.FirstDate != "2007-04-12" {
		t.Errorf("the city is not the one promised: %+v", got)
	}
	for what, n := range map[string]int{"broken lines": got.Broken, "unknown altitudes": unknownHeights, "repeated times": repeated,
		"points out of order": backwards, "labels over midnight": overMidnight, "overlapping labels": overlaps} {
		if n == 0 {
			t.Errorf("there are no %s", what)
		}
	}
	for _, mode := range []string{"walk", "bike", "bus", "car", "taxi", "subway"} {
		if modes[mode] < 20 {
			t.Errorf("only %d labels say %s", modes[mode], mode)
		}
	}
}

// checkPoint compares a line's count of days with its date and time.
func checkPoint(t *testing.T, fields []string, line string) {
	t.Helper()
	days, err := strconv.ParseFloat(fields[4], 64)
	if err != nil {
		t.Fatal(err)
	}
	when, err := time.Parse(time.DateOnly+time.TimeOnly, fields[5]+fields[6])
	if err != nil {
		t.Fatal(err)
	}
	if epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC); math.Abs(when.Sub(epoch).Seconds()-days*86_400) > 0.01 {
		t.Fatalf("days and date do not agree: %s", line)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	o := citydata.Options{Seed: 3, Users: 6, Days: 10}
	first, _ := generate(t, o)
	second, _ := generate(t, o)
	if d := cmp.Diff(files(t, first), files(t, second)); d != "" {
		t.Errorf("two cities of one seed differ:\n%.2000s", d)
	}
	o.Seed = 4
	other, _ := generate(t, o)
	if cmp.Equal(files(t, first), files(t, other)) {
		t.Error("two seeds give the same city")
	}
}

// TestSizes proves that the number of points follows the option, and that the smallest city has the one latitude too.
func TestSizes(t *testing.T) {
	t.Parallel()
	_, sum := generate(t, citydata.Options{Seed: 1, Users: 15, Days: 200, Points: 100_000})
	if sum.Points < 75_000 || sum.Points > 125_000 {
		t.Errorf("%d points, want about 100,000", sum.Points)
	}
	for seed := range int64(5) {
		dir, _ := generate(t, citydata.Options{Seed: seed, Users: 1, Days: 1, Start: time.Date(2011, 12, 31, 15, 0, 0, 0, time.UTC)})
		all := slices.Sorted(func(yield func(string) bool) {
			for _, text := range files(t, dir) {
				if !yield(text) {
					return
				}
			}
		})
		if n := strings.Count(strings.Join(all, ""), "\r\n140.0063166666667,"); n != 1 {
			t.Errorf("seed %d: %d latitudes of 140 in the smallest city, want 1", seed, n)
		}
	}
}

func TestNotOverOthersData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "Data", "000", "labels.txt")
	if err := os.MkdirAll(filepath.Dir(mine), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := citydata.Generate(t.Context(), dir, citydata.Options{}); err == nil {
		t.Error("a directory with data in it was taken")
	}
	if text, err := os.ReadFile(mine); err != nil || !bytes.Equal(text, []byte("mine")) {
		t.Errorf("the data there has changed: %q, %v", text, err)
	}
}

func TestGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := citydata.Generate(ctx, t.TempDir(), citydata.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Generate gives %v, want context.Canceled", err)
	}
}

func BenchmarkGenerate(b *testing.B) {
	points := int64(0)
	for b.Loop() {
		sum, err := citydata.Generate(b.Context(), b.TempDir(), citydata.Options{Users: 30, Days: 120})
		if err != nil {
			b.Fatal(err)
		}
		points += sum.Points
	}
	b.ReportMetric(float64(points)/b.Elapsed().Seconds(), "points/s")
}
