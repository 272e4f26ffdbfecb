package load_test

import (
	"strconv"
	"strings"
	"testing"

	"damson/internal/pipeline"
)

const columns = "name text, n bigint, x double, ok boolean, d date, t time, ts timestamp"

// declare makes columns of "name type" pairs.
func declare(s string) []pipeline.Column {
	var columns []pipeline.Column
	for pair := range strings.SplitSeq(s, ", ") {
		name, kind, _ := strings.Cut(pair, " ")
		columns = append(columns, pipeline.Column{Name: name, Type: kind})
	}
	return columns
}

// TestFormats loads one file per case and compares rows and rejects.
func TestFormats(t *testing.T) {
	t.Parallel()
	seven := declare(columns)
	two := declare("a bigint, b text")
	header := "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n"
	tests := []struct {
		name, content string
		spec          pipeline.Load
		rows          string // of select * without _file, in the order of the file
		rejects       string // line|text|reason
	}{
		{
			name:    "every type",
			content: "ann,-12,1.5e3,true,2007-06-26,11:32,2007-06-26T11:32:29.25Z\nbob,+7,.5,F,2007/06/26,11:32:29.123456,2007/06/26 11:32:29+08:00\n",
			spec:    pipeline.Load{Format: "csv", Columns: seven},
			rows: "ann|-12|1500|true|2007-06-26|11:32:00|2007-06-26 11:32:29.25\n" +
				"bob|7|0.5|false|2007-06-26|11:32:29.123456|2007-06-26 03:32:29",
		},
		{
			name:    "empty fields are NULL, an empty text in quotes is a text",
			content: ",,,,,,\n\"\",\"\",\"\",\"\",\"\",\"\",\"\"\n NA , 1 ,NA,NA,NA,NA,NA\n",
			spec:    pipeline.Load{Format: "csv", Columns: seven, Nulls: []string{"NA"}},
			rows:    "∅|∅|∅|∅|∅|∅|∅\n|∅|∅|∅|∅|∅|∅\n NA |1|∅|∅|∅|∅|∅",
		},
		{
			name:    "bad values of every type",
			content: "a\xff,1,1,t,2007-01-01,00:00,2007-01-01\na,1.5,,,,,\na,9223372036854775808,,,,,\na,,1e999,,,,\na,,0x10,,,,\na,,,maybe,,,\na,,,,2007-02-30,,\na,,,,26.6.2007,,\na,,,,,24:00,\na,,,,,,2007-01-01 00:00:00+99\nz\x00z,,,,,,\n",
			spec:    pipeline.Load{Format: "csv", Columns: seven},
			rejects: "1|a\uFFFD,1,1,t,2007-01-01,00:00,2007-01-01|column name: the text is not valid UTF-8\n" +
				"2|a,1.5,,,,,|column n: \"1.5\" is not a bigint\n" +
				"3|a,9223372036854775808,,,,,|column n: \"9223372036854775808\" is out of range for bigint\n" +
				"4|a,,1e999,,,,|column x: \"1e999\" is out of range for double\n" +
				"5|a,,0x10,,,,|column x: \"0x10\" is not a double\n" +
				"6|a,,,maybe,,,|column ok: \"maybe\" is not a boolean\n" +
				"7|a,,,,2007-02-30,,|column d: \"2007-02-30\" is out of range for date\n" +
				"8|a,,,,26.6.2007,,|column d: \"26.6.2007\" is not a date\n" +
				"9|a,,,,,24:00,|column t: \"24:00\" is out of range for time\n" +
				"10|a,,,,,,2007-01-01 00:00:00+99|column ts: \"2007-01-01 00:00:00+99\" is out of range for timestamp\n" +
				"11|z\uFFFDz,,,,,,|column name: the text holds a zero byte",
		},
		{
			name:    "quotes, line ends in a field, byte order mark, CRLF, blank line, no line end at the end",
			content: "\xef\xbb\xbfb,a\r\n\"one, \"\"1\"\"\r\ntwo\",1\r\n\r\n5\" pipe,2\r\nlast,3",
			spec:    pipeline.Load{Format: "csv", Columns: two, Header: true, LineColumn: "line"},
			rows:    "1|one, \"1\"\r\ntwo|2\n2|5\" pipe|5\n3|last|6",
		},
		{
			name:    "wrong number of fields, text behind a quote, a quote that stays open",
			content: "1,a\n2\n3,b,c\n4,\"x\"y\n5,ok\n6,\"open\n7,fine\n",
			spec:    pipeline.Load{Format: "csv", Columns: two, SkipLines: 0},
			rows:    "1|a\n5|ok\n7|fine",
			rejects: "2|2|the line has 1 fields; 2 are expected\n3|3,b,c|the line has 3 fields; 2 are expected\n" +
				"4|4,\"x\"y|text follows the closing quote of field 2\n6|6,\"open|a quote opens here and is never closed",
		},
		{
			name:    "a file of one column: a blank line is a NULL",
			content: "v\n1\n\n2\n",
			spec:    pipeline.Load{Format: "csv", Columns: declare("v bigint"), Header: true},
			rows:    "1\n∅\n2",
		},
		{
			name:    "tab-separated, with lines to skip",
			content: "made by hand\nStart Time\tEnd Time\tTransportation Mode\n2007/06/26 11:32:29\t2007/06/26 11:40:29\tbus\n",
			spec:    pipeline.Load{Format: "tsv", Columns: declare("start_time timestamp, end_time timestamp, transportation_mode text"), Header: true, SkipLines: 1},
			rows:    "2007-06-26 11:32:29|2007-06-26 11:40:29|bus",
		},
		{
			name:    "another delimiter",
			content: "1;x\n",
			spec:    pipeline.Load{Format: "csv", Columns: two, Delimiter: ";"},
			rows:    "1|x",
		},
		{
			name:    "inferred columns",
			content: "Id,Zip Code,Share,When,Day,Note,Ok,none\n1,007,1.5,2007-01-01 10:00:00,2007-01-01,x,true,\n2,123,2,2007-01-01,2007-01-02,3,false,\n",
			spec:    pipeline.Load{Format: "csv", Header: true},
			rows:    "1|007|1.5|2007-01-01 10:00:00|2007-01-01|x|true|∅\n2|123|2|2007-01-01 00:00:00|2007-01-02|3|false|∅",
		},
		{name: "an empty file", content: "", spec: pipeline.Load{Format: "csv", Columns: two, Header: true}},
		{name: "a header alone", content: "a,b", spec: pipeline.Load{Format: "csv", Columns: two, Header: true}},
		{
			name:    "JSON lines",
			content: "{\"a\":1,\"b\":\"x\\u00e9\\n\\ud83d\\ude00\"}\n\n{\"b\":{\"k\":[1, 2]},\"a\":null}\n{\"a\":2.0}{\"a\":3,\"b\":true}\n{}\n",
			spec:    pipeline.Load{Format: "json", Columns: two, LineColumn: "line"},
			rows:    "1|xé\n😀|1\n∅|{\"k\":[1, 2]}|3\n2|∅|4\n3|true|4\n∅|∅|5",
		},
		{
			name:    "bad JSON lines",
			content: "{\"a\":1}\n{\"a\":\nhello\n[1]\n7\n{\"a\":1.5}\n{\"A b\":1}\n{\"a\":1,\"a\":2}\n{\"bb\":1}\n{\"a\":01}\n{\"a\":{}}\n{\"a\":2}",
			spec:    pipeline.Load{Format: "json", Columns: two},
			rows:    "1|∅\n2|∅",
			rejects: "2|{\"a\":|the text is not JSON\n3|hello|the text is not JSON\n4|[1]|the value is not a JSON object\n" +
				"5|7|the value is not a JSON object\n6|{\"a\":1.5}|column a: \"1.5\" is not a bigint\n" +
				"7|{\"A b\":1}|the key \"A b\" is none of the columns\n8|{\"a\":1,\"a\":2}|the key \"a\" stands twice in the object\n" +
				"9|{\"bb\":1}|the key \"bb\" is none of the columns. Did you mean \"b\"?\n10|{\"a\":01}|the text is not JSON\n" +
				"11|{\"a\":{}}|column a: \"{}\" is not a bigint",
		},
		{
			name:    "a JSON array over several lines, cut short",
			content: "[\n  {\"a\": 1,\n   \"b\": \"x\"},\n  {\"a\": \"q\"},\n  {\"a\": 2}",
			spec:    pipeline.Load{Format: "json", Columns: two, LineColumn: "line"},
			rows:    "1|x|2\n2|∅|5",
			rejects: "4|{\"a\": \"q\"}|column a: \"q\" is not a bigint\n5||the array has no closing bracket: the file is cut short",
		},
		{
			name:    "text behind a JSON array",
			content: "[{\"a\": 1}]\nmore\n",
			spec:    pipeline.Load{Format: "json", Columns: two},
			rows:    "1|∅",
			rejects: "2|more|text follows the end of the array",
		},
		{
			name:    "inferred columns of JSON",
			content: "{\"Id\":1,\"when\":\"2007-01-01T10:00:00Z\",\"num\":\"12\",\"x\":1}\n{\"x\":1.5,\"more\":[1]}\n",
			spec:    pipeline.Load{Format: "json"},
			rows:    "1|2007-01-01 10:00:00|12|1|∅\n∅|∅|∅|1.5|[1]",
		},
		{
			name: "PLT",
			content: header + "39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04\r\n" +
				"140.5,-116.318417,0,-777,39744.1201851852,2008-10-23,02:53:04\r\n" +
				"39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04",
			spec: pipeline.Load{Format: "plt", LineColumn: "line"},
			rows: "39.984702|116.318417|492|39744.1201851852|2008-10-23|02:53:04|7\n140.5|-116.318417|∅|39744.1201851852|2008-10-23|02:53:04|8\n" +
				"39.984702|116.318417|492|39744.1201851852|2008-10-23|02:53:04|9",
		},
		{
			name:    "bad points",
			content: header + "39.9,116.3,0,492\r\n39.9,,0,492,39744.1,2008-10-23,02:53:04\r\n39.9,116.3,0,492,39744.1,2008-13-23,02:53:04\r\n39.9,x,0,492,39744.1,2008-10-23,02:53:04\r\n\r\n39.9,1,0,492,39744.1,2008-10-23,02:53:04,9\n",
			spec:    pipeline.Load{Format: "plt"},
			rejects: "7|39.9,116.3,0,492|the line has 4 fields; a point has 7\n" +
				"8|39.9,,0,492,39744.1,2008-10-23,02:53:04|column longitude: the field is empty\n" +
				"9|39.9,116.3,0,492,39744.1,2008-13-23,02:53:04|column tdate: \"2008-13-23\" is out of range for date\n" +
				"10|39.9,x,0,492,39744.1,2008-10-23,02:53:04|column longitude: \"x\" is not a double\n" +
				"12|39.9,1,0,492,39744.1,2008-10-23,02:53:04,9|the line has 8 fields; a point has 7",
		},
		{name: "a PLT file without points", content: header, spec: pipeline.Load{Format: "plt"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("in/data", test.content)
			test.spec.Files, test.spec.Into, test.spec.MaxRejects = []string{"in/*"}, "s.t", -1
			r := p.load(test.spec)
			p.expect("select * exclude (_file) from s.t order by rowid", test.rows)
			p.expect(`select line, "text", reason from damson.rejects order by rowid`, test.rejects)
			if got, want := strconv.FormatInt(r.Rejects, 10), p.rows("select count(*) from damson.rejects"); got != want {
				t.Errorf("the result counts %s rejects; the table has %s", got, want)
			}
		})
	}
}

// TestPackings loads the same content plain, gzipped (in one piece and in two) and in zstd; the file's name does not count.
func TestPackings(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("1,a\n", 70000) + "2,b\n"
	for name, packed := range map[string]string{
		"plain": content, "gzip": gzipped(t, content), "zstd": zstded(t, content),
		"two gzip members": gzipped(t, content[:1000]) + gzipped(t, content[1000:]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("x.csv", packed)
			spec := pipeline.Load{Files: []string{"x.csv"}, Format: "csv", Columns: declare("a bigint, b text"), Into: "s.t", LineColumn: "line"}
			if r := p.load(spec); r.Rows != 70001 || r.Bytes != int64(len(packed)) {
				t.Errorf("result %+v, want 70001 rows and %d bytes", r, len(packed))
			}
			p.expect("select sum(a), max(line), count(distinct line) from s.t", "70002|70001|70001")
		})
	}
}
