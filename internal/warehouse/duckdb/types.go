//go:build duckdb_arrow

package duckdb

import (
	"fmt"
	"strconv"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/warehouse/driver"
)

// portable gives the portable type that a DuckDB type is read as, and the SQL that turns a value %s into it; "" when the
// value needs no turning.
//
// Integers beyond 64 bits (HUGEINT, which sum() of integers gives) are read as Bigint: sums that fit are exact, and one
// that does not fit is an error rather than a rounded number.
func portable(t bindings.LogicalType) (driver.Type, string) {
	id := bindings.GetTypeId(t)
	if id == bindings.TypeVarchar && bindings.LogicalTypeGetAlias(t) != "" { // JSON and the like
		return driver.Text, "CAST(%s AS VARCHAR)"
	}
	switch id {
	case bindings.TypeVarchar:
		return driver.Text, ""
	case bindings.TypeBigInt:
		return driver.Bigint, ""
	case bindings.TypeTinyInt, bindings.TypeSmallInt, bindings.TypeInteger, bindings.TypeUTinyInt, bindings.TypeUSmallInt,
		bindings.TypeUInteger, bindings.TypeUBigInt, bindings.TypeHugeInt, bindings.TypeUHugeInt, bindings.TypeBigNum:
		return driver.Bigint, "CAST(%s AS BIGINT)"
	case bindings.TypeDouble:
		return driver.Double, ""
	case bindings.TypeFloat, bindings.TypeDecimal:
		return driver.Double, "CAST(%s AS DOUBLE)"
	case bindings.TypeBoolean:
		return driver.Boolean, ""
	case bindings.TypeDate:
		return driver.Date, ""
	case bindings.TypeTime:
		return driver.Time, ""
	case bindings.TypeTimeNS:
		return driver.Time, "CAST(%s AS TIME)"
	case bindings.TypeTimestamp:
		return driver.Timestamp, ""
	case bindings.TypeTimestampS, bindings.TypeTimestampMS, bindings.TypeTimestampNS:
		return driver.Timestamp, "CAST(%s AS TIMESTAMP)"
	case bindings.TypeTimestampTZ:
		return driver.Timestamp, "(%s AT TIME ZONE 'UTC')"
	}
	return driver.Text, "CAST(%s AS VARCHAR)"
}

// nativeNames are DuckDB's names of its types without parameters.
var nativeNames = map[bindings.Type]string{
	bindings.TypeBoolean: "BOOLEAN", bindings.TypeTinyInt: "TINYINT", bindings.TypeSmallInt: "SMALLINT",
	bindings.TypeInteger: "INTEGER", bindings.TypeBigInt: "BIGINT", bindings.TypeUTinyInt: "UTINYINT",
	bindings.TypeUSmallInt: "USMALLINT", bindings.TypeUInteger: "UINTEGER", bindings.TypeUBigInt: "UBIGINT",
	bindings.TypeFloat: "FLOAT", bindings.TypeDouble: "DOUBLE", bindings.TypeTimestamp: "TIMESTAMP",
	bindings.TypeDate: "DATE", bindings.TypeTime: "TIME", bindings.TypeInterval: "INTERVAL",
	bindings.TypeHugeInt: "HUGEINT", bindings.TypeUHugeInt: "UHUGEINT", bindings.TypeVarchar: "VARCHAR",
	bindings.TypeBlob: "BLOB", bindings.TypeTimestampS: "TIMESTAMP_S", bindings.TypeTimestampMS: "TIMESTAMP_MS",
	bindings.TypeTimestampNS: "TIMESTAMP_NS", bindings.TypeEnum: "ENUM", bindings.TypeList: "LIST",
	bindings.TypeStruct: "STRUCT", bindings.TypeMap: "MAP", bindings.TypeArray: "ARRAY", bindings.TypeUUID: "UUID",
	bindings.TypeUnion: "UNION", bindings.TypeBit: "BIT", bindings.TypeTimeTZ: "TIME WITH TIME ZONE",
	bindings.TypeTimestampTZ: "TIMESTAMP WITH TIME ZONE", bindings.TypeBigNum: "BIGNUM", bindings.TypeSQLNull: "NULL",
	bindings.TypeTimeNS: "TIME_NS",
}

func nativeName(t bindings.LogicalType) string {
	if alias := bindings.LogicalTypeGetAlias(t); alias != "" {
		return alias
	}
	id := bindings.GetTypeId(t)
	if id == bindings.TypeDecimal {
		return fmt.Sprintf("DECIMAL(%d,%d)", bindings.DecimalWidth(t), bindings.DecimalScale(t))
	}
	if name, ok := nativeNames[id]; ok {
		return name
	}
	return "type " + strconv.Itoa(int(id))
}

// columnsOf gives the columns of a prepared statement's result.
func columnsOf(s bindings.PreparedStatement) []driver.Column {
	columns := make([]driver.Column, bindings.PreparedStatementColumnCount(s))
	for i := range columns {
		t := bindings.PreparedStatementColumnLogicalType(s, bindings.IdxT(i))
		columns[i].Name = bindings.PreparedStatementColumnName(s, bindings.IdxT(i))
		columns[i].Type, _ = portable(t)
		columns[i].Native = nativeName(t)
		bindings.DestroyLogicalType(&t)
	}
	return columns
}

// asPortable gives the query whose columns are those of sql turned into portable types, and the length of what it puts
// before sql; sql itself when nothing needs turning.
func asPortable(s bindings.PreparedStatement, sql string) (wrapped string, before int) {
	var head, names strings.Builder
	turned := false
	n := int(bindings.PreparedStatementColumnCount(s))
	for i := range n {
		t := bindings.PreparedStatementColumnLogicalType(s, bindings.IdxT(i))
		_, cast := portable(t)
		bindings.DestroyLogicalType(&t)
		if i > 0 {
			head.WriteString(", ")
			names.WriteString(", ")
		}
		name := "c" + strconv.Itoa(i)
		names.WriteString(name)
		if cast == "" {
			head.WriteString(name)
			continue
		}
		turned = true
		fmt.Fprintf(&head, cast, name)
	}
	if !turned {
		return sql, 0
	}
	prefix := "SELECT " + head.String() + " FROM (\n"
	return prefix + sql + "\n) AS damson_query(" + names.String() + ")", len(prefix)
}
