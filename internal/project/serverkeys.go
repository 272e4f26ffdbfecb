package project

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// serverKeys are the keys of an environment that only a warehouse in a server knows.
var serverKeys = []string{"statement_timeout", "lock_timeout", "max_connections"}

const (
	// longestTimeout is what PostgreSQL keeps a timeout in: milliseconds, as an integer of four bytes.
	longestTimeout = math.MaxInt32 * time.Millisecond
	// fewestConnections: who copies rows reads on one connection and writes on another.
	fewestConnections = 2
	mostConnections   = 10000
)

// timeout reads a duration that the server takes as one. Zero would switch the server's own off.
func (c *config) timeout(n *yaml.Node, where string) {
	before := len(c.findings)
	if d := c.duration(n, where); len(c.findings) == before && (d < time.Millisecond || d > longestTimeout) {
		c.errorf(n, "Out of range", "Write a time from 1ms to 24d, or leave the key out: the server's own setting then holds.", "%s is %s.", where, n.Value)
	}
}

func (c *config) maxConnections(n *yaml.Node, where string) {
	if most := c.whole(n, where, fewestConnections); most > mostConnections {
		c.errorf(n, "Out of range", fmt.Sprintf("Write %d or less.", mostConnections), "%s is %d.", where, most)
	}
}

// literalKind is the kind of an environment's warehouse as far as the file itself tells; "" when a reference stands in its place.
func literalKind(env *yaml.Node) string {
	if env.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(env.Content); i += 2 {
			if v := env.Content[i+1]; env.Content[i].Value == "warehouse" && v.Value != "" {
				kind, _, _ := strings.Cut(v.Value, ":")
				if strings.HasPrefix(kind, "$") {
					return ""
				}
				return kind
			}
		}
	}
	kind, _, _ := strings.Cut(DefaultWarehouse, ":")
	return kind
}

// checkServerKeys refuses keys that mean nothing to the embedded warehouse, rather than leave them without effect.
func (c *config) checkServerKeys(env *yaml.Node, kind string) {
	if kind != "duckdb" || env.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(env.Content); i += 2 {
		k := env.Content[i]
		if !slices.Contains(serverKeys, k.Value) {
			continue
		}
		fix := "Remove it. A task's time is bounded by its timeout."
		if k.Value == "max_connections" {
			fix = "Remove it. What the embedded warehouse takes is bounded by memory and threads."
		}
		c.errorf(k, "Not for the embedded warehouse", fix, "%s is a setting of PostgreSQL and Greenplum, and this environment's warehouse is DuckDB.", k.Value)
	}
}
