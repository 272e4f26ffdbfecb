package pushdown

import (
	"fmt"
	"strings"

	"damson/internal/tree"
)

// dialect is what the databases write differently.
type dialect struct {
	fence string // keeps a subquery from being merged with what reads it
	hash  string // the same around hashes of all rows, unless it would bring them together on one machine
	// key writes the two numbers of a key from the text of an MD5.
	key func(hash, hi, lo string) string
	// bin writes the bin of a number.
	bin func(b *tree.Bins, f int, column string) string
	// pack writes bins as one value, and unpack one of them from it.
	pack   func(bins []string) string
	unpack func(packed, feature string) string
	// rowHash gives a hash of what stands in some columns of a row.
	rowHash func(columns []string) string
	// hashes gives two numbers of 28 bits, a and b, for what stands in each row of a table.
	hashes func(columns []string, table string) string
	// binary orders texts by their bytes.
	binary string
	// streams tells that the rows of a UNION ALL come as they are made. In DuckDB 1.5, which streams a result of which a megabyte is
	// waiting to be read, its parts may wait for each other for ever.
	streams bool
	// sets tells that grouping sets are counted in one pass.
	sets bool
	// settings make a session ready.
	settings []string
}

func dialectOf(kind string) dialect {
	if kind == "duckdb" {
		return dialect{rowHash: duckHash, hashes: duckHashes, key: duckKey, bin: (*tree.Bins).SQL, pack: duckPack, unpack: duckUnpack}
	}
	d := dialect{fence: " offset 0", streams: true, rowHash: postgresHash, hashes: postgresHashes, key: postgresKey, bin: (*tree.Bins).SQL, pack: postgresPack, unpack: postgresUnpack, binary: ` collate "C"`}
	if kind == "postgres" {
		d.hash, d.sets, d.bin = d.fence, true, (*tree.Bins).BucketSQL
		// What groups cost is guessed far too low where rows are routed by an expression. Greenplum has its own way to deal memory out.
		d.settings = []string{"set work_mem = '64MB'", "set enable_sort = off"}
	}
	return d
}

func duckKey(hash, hi, lo string) string {
	return fmt.Sprintf("cast('0x' || substr(%s, 1, 7) as bigint) as %s, cast('0x' || substr(%s, 8, 7) as bigint) as %s", hash, hi, hash, lo)
}

// duckHash takes DuckDB's hash: it writes doubles as text very slowly.
func duckHash(columns []string) string { return "hash(" + strings.Join(columns, ", ") + ")" }

func duckHashes(columns []string, table string) string {
	return fmt.Sprintf("select h & 268435455 as a, (h >> 28) & 268435455 as b from (select %s as h from %s) as hashed", duckHash(columns), table)
}

func postgresHash(columns []string) string {
	texts := make([]string, len(columns))
	for i, column := range columns {
		texts[i] = "coalesce('=' || cast(" + column + " as text), '')"
	}
	return "md5(" + strings.Join(texts, " || ',' || ") + ")"
}

func postgresHashes(columns []string, table string) string {
	return fmt.Sprintf("select %s from (select %s as h from %s offset 0) as hashed", postgresKey("h", "a", "b"), postgresHash(columns), table)
}

func duckPack(bins []string) string { return "cast([" + strings.Join(bins, ", ") + "] as smallint[])" }

func duckUnpack(packed, feature string) string { return fmt.Sprintf("%s[%s + 1]", packed, feature) }

func postgresKey(hash, hi, lo string) string {
	return fmt.Sprintf("cast(cast('x' || substr(%s, 1, 7) as bit(28)) as bigint) as %s, cast(cast('x' || substr(%s, 8, 7) as bit(28)) as bigint) as %s", hash, hi, hash, lo)
}

// packWidth is how many bins are put into one bytea, one after the other; each copies it.
const packWidth = 64

func postgresPack(bins []string) string {
	var parts []string
	for len(bins) > 0 {
		n := min(len(bins), packWidth)
		part := fmt.Sprintf("decode('%s', 'hex')", strings.Repeat("00", n))
		for i, bin := range bins[:n] {
			part = fmt.Sprintf("set_byte(%s, %d, %s)", part, i, bin)
		}
		parts, bins = append(parts, part), bins[n:]
	}
	return strings.Join(parts, " || ")
}

func postgresUnpack(packed, feature string) string {
	return fmt.Sprintf("get_byte(%s, %s)", packed, feature)
}
