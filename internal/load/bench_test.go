package load

import (
	"bytes"
	"fmt"
	"testing"

	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// benchmarkParse parses content again and again on one core, without a warehouse. It reports allocations per content of
// many rows, not per row.
func benchmarkParse(b *testing.B, content []byte, columns []driver.Column, make func() parser) {
	l, err := newLayout(columns, pipeline.Load{LineColumn: "line"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	o := &out{layout: l, batch: newBatch(l, batchRows)}
	o.flush = func() error { o.batch.rows, o.rejects = 0, nil; return nil }
	rows := int64(0)
	b.ReportAllocs()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		o.start(&file{name: "Data/000/Trajectory/20081023025304.plt"})
		if _, err := make().parse(content, true, o); err != nil || o.refused > 0 {
			b.Fatal(err, o.rejects)
		}
		rows += o.rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkPLT(b *testing.B) {
	var content bytes.Buffer
	content.WriteString("Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n")
	for i := range 10000 {
		fmt.Fprintf(&content, "%.6f,%.6f,0,%d,%.10f,2008-10-23,%02d:%02d:%02d\r\n", 39.9+float64(i)*1.23e-4, 116.3+float64(i)*1.7e-4, 492-i%300,
			39744.1201851852+float64(i)*5/86400, i/3600, i/60%60, i%60)
	}
	benchmarkParse(b, content.Bytes(), pltColumns, func() parser { return newPLT(pipeline.Load{}) })
}

func benchmarkColumns() ([]driver.Column, []string) {
	columns := []driver.Column{{Name: "id", Type: driver.Bigint}, {Name: "name", Type: driver.Text}, {Name: "price", Type: driver.Double}, {Name: "sold", Type: driver.Timestamp}}
	return columns, columnNames(columns)
}

func BenchmarkCSV(b *testing.B) {
	var content bytes.Buffer
	for i := range 10000 {
		fmt.Fprintf(&content, "%d,customer %d,%.2f,2008-10-23 10:%02d:%02d\n", i, i%977, float64(i)*1.37, i/60%60, i%60)
	}
	columns, names := benchmarkColumns()
	benchmarkParse(b, content.Bytes(), columns, func() parser { return newCSV(pipeline.Load{Format: "csv"}, names) })
}

func BenchmarkJSON(b *testing.B) {
	var content bytes.Buffer
	for i := range 10000 {
		fmt.Fprintf(&content, `{"id":%d,"name":"customer %d","price":%.2f,"sold":"2008-10-23T10:%02d:%02dZ"}`+"\n", i, i%977, float64(i)*1.37, i/60%60, i%60)
	}
	columns, names := benchmarkColumns()
	benchmarkParse(b, content.Bytes(), columns, func() parser { return newJSON(pipeline.Load{}, names) })
}
