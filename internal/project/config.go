package project

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"damson/internal/diag"
	"damson/internal/project/declare"
	"damson/internal/project/source"
)

// DefaultWarehouse is where a project works that names no warehouse.
const DefaultWarehouse = "duckdb:.damson/warehouse.duckdb"

// defaultEnvironment is the one taken when damson.yaml neither names one nor has a single one.
const defaultEnvironment = "dev"

// Find gives the nearest directory from start upwards that has a damson.yaml. The error is a diag.Finding.
func Find(start string) (dir string, err error) {
	abs, err := filepath.Abs(start)
	if err != nil {
		return "", diag.AsFinding("Finding the project", err)
	}
	for dir = abs; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", diag.Finding{
				Severity: diag.Error,
				Summary:  "No project here",
				Detail:   fmt.Sprintf("Neither %s nor a directory above it has a %s.", abs, ConfigFile),
				Fix:      "Make a project with `damson init DIR`, or say where it is with --project DIR.",
				Cause:    os.ErrNotExist,
			}
		}
	}
}

var (
	configKeys = []string{"name", "default_environment", "environments", "defaults", "pools", "vars", "connections"}
	envKeys    = append([]string{"warehouse", "vars", "connections", "memory", "threads"}, serverKeys...)
	connKeys   = []string{"type", "host", "port", "schema", "login", "password", "extra"}
	defKeys    = []string{"retries", "retry_delay", "retry_backoff", "max_retry_delay", "timeout", "depends_on_past",
		"wait_for_downstream", "priority", "pool", "pool_slots", "owner", "timezone", "catchup", "max_active_runs", "max_active_tasks", "run_timeout"}
)

// config reads damson.yaml into a project.
type config struct {
	yamlFile
	opts     Options
	project  *Project
	defaults declare.Defaults
	poolsAt  map[string]diag.Pos // of pool and pool_slots among the defaults
	secrets  []string
	chosen   *yaml.Node // the environment in use; nil when it is the built-in one
}

// readConfig fills in everything of the project that damson.yaml says.
func readConfig(text string, p *Project, opts Options) *config {
	c := &config{yamlFile: yamlFile{path: ConfigFile}, opts: opts, project: p}
	c.defaults = declare.Defaults{Timezone: "UTC", TaskDefaults: declare.TaskDefaults{RetryDelay: 30 * time.Second, RetryBackoff: 1, PoolSlots: 1}}
	c.poolsAt = map[string]diag.Pos{}
	p.Vars, p.Conns, p.Pools = map[string]any{}, map[string]Connection{}, map[string]int{}
	var wanted string
	envs := map[string]*yaml.Node{}
	var envsAt, vars, conns, wantedAt *yaml.Node
	root := c.parse(text)
	if root != nil {
		c.entries(root, ConfigFile, configKeys, func(key string, k, v *yaml.Node) {
			switch key {
			case "name":
				p.Name = c.name(v, "name")
			case "default_environment":
				wanted, wantedAt = c.text(v, key), v
			case "environments":
				envsAt = v
				c.readEnvironments(v, envs)
			case "defaults":
				c.readDefaults(v)
			case "pools":
				c.readPools(v)
			case "vars":
				vars = v
			case "connections":
				conns = v
			}
		})
	}
	if p.Name == "" && !c.findings.HasErrors() {
		c.report(diag.Finding{At: diag.Pos{File: ConfigFile, Line: 1, Col: 1}, Summary: "No project name",
			Detail: ConfigFile + " does not name the project.", Fix: "Add a line such as `name: " + suggestName(p.Dir) + "`."})
	}
	for name := range envs {
		p.Environments = append(p.Environments, name)
	}
	sort.Strings(p.Environments)
	c.choose(envs, wanted, wantedAt, envsAt)
	c.readVars(vars, "vars")
	c.readConns(conns, "connections")
	c.readChosen()
	p.keepSecrets(c.secrets)
	return c
}

// suggestName makes a name of the directory's.
func suggestName(dir string) string {
	name := regexp.MustCompile(`[^A-Za-z0-9_-]+`).ReplaceAllString(filepath.Base(dir), "_")
	if source.PlainName.MatchString(name) {
		return name
	}
	return "my_project"
}

func (c *config) name(n *yaml.Node, where string) string {
	name := c.text(n, where)
	if name != "" && !source.PlainName.MatchString(name) {
		c.errorf(n, "Not a name", source.NameFix, "%s is %q.", where, name)
	}
	return name
}

// readEnvironments checks the form of every environment; values are read of the chosen one only, so that the others'
// secrets need not be there.
func (c *config) readEnvironments(n *yaml.Node, envs map[string]*yaml.Node) {
	c.entries(n, "environments", nil, func(name string, k, v *yaml.Node) {
		if !source.PlainName.MatchString(name) {
			c.errorf(k, "Not a name", source.NameFix, "An environment is called %q.", name)
			return
		}
		envs[name] = v
		c.entries(v, "environment "+name, envKeys, func(key string, k, v *yaml.Node) {
			where := "environments." + name + "." + key
			switch key {
			case "memory":
				if _, err := source.ParseMemory(v.Value); err != nil || v.Kind != yaml.ScalarNode {
					c.errorf(v, "Not an amount of memory", `Write a number and a unit, for example "4GB" or "512MB".`, "%s is %s.", where, kindOf(v))
				}
			case "threads":
				c.whole(v, where, 1)
			case "warehouse":
				c.checkReferences(v, c.text(v, where))
			case "statement_timeout", "lock_timeout":
				c.timeout(v, where)
			case "max_connections":
				c.maxConnections(v, where)
			}
		})
		c.checkServerKeys(v, literalKind(v))
	})
}

// choose picks the environment: asked for, else default_environment, else the only one, else dev.
func (c *config) choose(envs map[string]*yaml.Node, wanted string, wantedAt, envsAt *yaml.Node) {
	p := c.project
	name := wanted
	if c.opts.Env != "" {
		name = c.opts.Env
	}
	if name == "" && len(p.Environments) == 1 {
		name = p.Environments[0]
	}
	if name == "" {
		name = defaultEnvironment
	}
	p.Environment = Environment{Name: name, Warehouse: Plain(DefaultWarehouse), At: diag.Pos{File: ConfigFile}}
	if node, ok := envs[name]; ok {
		c.chosen = node
		return
	}
	f := diag.Finding{At: diag.Pos{File: ConfigFile, Line: 1, Col: 1}, Summary: "Unknown environment", Fix: diag.DidYouMean(name, p.Environments)}
	if envsAt != nil {
		f.At = c.at(envsAt)
	}
	if f.Fix == "" {
		f.Fix = fmt.Sprintf("Add it under environments: in %s, or take one that is there.", ConfigFile)
	}
	f.Detail = fmt.Sprintf("%s has no environment %q. It has: %s.", ConfigFile, name, source.ListNames(p.Environments))
	switch {
	case len(envs) == 0 && (c.opts.Env == "" || c.opts.Env == defaultEnvironment) && wanted == "":
		return // the built-in dev environment
	case len(envs) == 0:
		f.Detail = fmt.Sprintf("%s declares no environments; %q was asked for.", ConfigFile, name)
	case c.opts.Env != "":
		f.Summary += " (asked for with --env)"
	case wanted != "":
		f.At = c.at(wantedAt)
	default:
		f.Summary = "No default environment"
		f.Detail = fmt.Sprintf("%s has the environments %s, and none of them is called %s.", ConfigFile, source.ListNames(p.Environments), defaultEnvironment)
		f.Fix = "Add a line such as `default_environment: " + p.Environments[0] + "`, or pass --env NAME."
	}
	c.report(f)
}

// readChosen reads the values of the environment in use, over the project's own.
func (c *config) readChosen() {
	env := &c.project.Environment
	if c.chosen == nil || c.chosen.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(c.chosen.Content); i += 2 {
		key, v := c.chosen.Content[i].Value, c.chosen.Content[i+1]
		where := "environments." + env.Name + "." + key
		switch key {
		case "warehouse":
			c.readWarehouse(v, where)
		case "vars":
			c.readVars(v, where)
		case "connections":
			c.readConns(v, where)
		case "memory":
			env.Limits.Memory, _ = source.ParseMemory(v.Value)
		case "threads":
			_ = v.Decode(&env.Limits.Threads) // its form was checked with all environments
		case "statement_timeout":
			env.Limits.StatementTimeout, _ = source.ParseDuration(v.Value)
		case "lock_timeout":
			env.Limits.LockTimeout, _ = source.ParseDuration(v.Value)
		case "max_connections":
			_ = v.Decode(&env.Limits.MaxConnections)
		}
	}
	if literalKind(c.chosen) == "" {
		c.checkServerKeys(c.chosen, env.Kind())
	}
}

var warehouseKinds = []string{"duckdb", "postgres", "postgresql", "greenplum"}

func (c *config) readWarehouse(n *yaml.Node, where string) {
	if n.Kind != yaml.ScalarNode || isNull(n) || n.Value == "" {
		return
	}
	url := c.resolve(n)
	c.project.Environment.Warehouse, c.project.Environment.At = url, c.at(n)
	kind, _, found := strings.Cut(url.Reveal(), ":")
	if found && slices.Contains(warehouseKinds, kind) || url.Reveal() == "" {
		return
	}
	fix := fmt.Sprintf("Write a URL such as %q or \"postgres://user@host/db\".", DefaultWarehouse)
	if near := diag.Nearest(kind, warehouseKinds); near != "" && found {
		fix = fmt.Sprintf("Did you mean %q?", near+":…")
	}
	c.errorf(n, "Unknown warehouse", fix, "%s is %q, which begins with none of %s.", where, url, strings.Join(warehouseKinds, ":, ")+":")
}

func (c *config) readDefaults(n *yaml.Node) {
	d := &c.defaults
	c.entries(n, "defaults", defKeys, func(key string, k, v *yaml.Node) {
		where := "defaults." + key
		switch key {
		case "retries":
			d.Retries = c.whole(v, where, 0)
		case "retry_delay":
			d.RetryDelay = c.duration(v, where)
		case "retry_backoff":
			d.RetryBackoff = c.real(v, where, 1)
		case "max_retry_delay":
			d.MaxRetryDelay = c.duration(v, where)
		case "timeout":
			d.Timeout = c.duration(v, where)
		case "depends_on_past":
			d.DependsOnPast = c.boolean(v, where)
		case "wait_for_downstream":
			d.WaitForDownstream = c.boolean(v, where)
		case "pool":
			d.Pool, c.poolsAt[key] = c.text(v, where), c.at(v)
		case "pool_slots":
			d.PoolSlots, c.poolsAt[key] = c.whole(v, where, 1), c.at(v)
		case "priority":
			d.Priority = c.whole(v, where, declare.MinPriority)
		case "owner":
			d.Owner = c.text(v, where)
		case "timezone":
			d.Timezone = c.text(v, where)
			if _, err := time.LoadLocation(d.Timezone); err != nil || d.Timezone == "" || d.Timezone == "Local" {
				c.errorf(v, "Unknown time zone", source.TimezoneFix, "%s is %q.", where, d.Timezone)
				d.Timezone = "UTC"
			}
		case "catchup":
			d.Catchup = c.boolean(v, where)
		case "max_active_runs":
			d.MaxActiveRuns = c.whole(v, where, 0)
		case "max_active_tasks":
			d.MaxActiveTasks = c.whole(v, where, 0)
		case "run_timeout":
			d.RunTimeout = c.duration(v, where)
		}
	})
}

// readPools reads the pools and how many slots each has.
func (c *config) readPools(n *yaml.Node) {
	c.entries(n, "pools", nil, func(name string, k, v *yaml.Node) {
		if !source.PlainName.MatchString(name) {
			c.errorf(k, "Not a name", source.NameFix, "A pool is called %q.", name)
			return
		}
		c.project.Pools[name] = c.whole(v, "pools."+name, 1)
	})
}

func (c *config) readVars(n *yaml.Node, where string) {
	if n == nil {
		return
	}
	c.entries(n, where, nil, func(key string, k, v *yaml.Node) {
		if !source.VariableName.MatchString(key) {
			c.errorf(k, "Not a name", "Use letters, digits and _, beginning with a letter.", "A variable is called %q; templates could not name it.", key)
			return
		}
		c.project.Vars[key] = c.value(v, where+"."+key, 0)
	})
}

// value reads any YAML value: texts (Secret when a part is), numbers, booleans, lists and mappings.
func (c *config) value(n *yaml.Node, where string, depth int) any {
	if depth > source.MaxDepth {
		c.errorf(n, "Nested too deep", "Flatten it.", "%s has more than %d levels.", where, source.MaxDepth)
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, e := range n.Content {
			list[i] = c.value(e, fmt.Sprintf("%s[%d]", where, i), depth+1)
		}
		return list
	case yaml.MappingNode:
		m := map[string]any{}
		c.entries(n, where, nil, func(key string, k, v *yaml.Node) { m[key] = c.value(v, where+"."+key, depth+1) })
		return m
	case yaml.AliasNode:
		c.errorf(n, "Aliases are not supported", "Write the value out.", "%s refers to a YAML anchor.", where)
		return nil
	}
	switch n.Tag {
	case "!!str":
		if s := c.resolve(n); s.IsSecret() {
			return s
		} else {
			return s.Reveal()
		}
	case "!!int":
		var v int64
		if n.Decode(&v) == nil {
			return v
		}
	case "!!float":
		var v float64
		if n.Decode(&v) == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v
		}
		c.errorf(n, "Not a number", "Write a finite number, or a text in quotes.", "%s is %s.", where, n.Value)
	case "!!bool":
		var v bool
		if n.Decode(&v) == nil {
			return v
		}
	case "!!null":
		return nil
	}
	return n.Value // a date or a number too large for us: its text
}

func (c *config) readConns(n *yaml.Node, where string) {
	if n == nil {
		return
	}
	c.entries(n, where, nil, func(name string, k, v *yaml.Node) {
		if !source.VariableName.MatchString(name) {
			c.errorf(k, "Not a name", "Use letters, digits and _, beginning with a letter.", "A connection is called %q; templates could not name it.", name)
			return
		}
		var conn Connection
		texts := map[string]*Secret{"host": &conn.Host, "schema": &conn.Schema, "login": &conn.Login, "password": &conn.Password}
		c.entries(v, where+"."+name, connKeys, func(key string, k, v *yaml.Node) {
			here := where + "." + name + "." + key
			switch key {
			case "type":
				conn.Type = c.text(v, here)
			case "port":
				conn.Port = c.whole(v, here, 1)
			case "extra":
				conn.Extra = map[string]Secret{}
				c.entries(v, here, nil, func(key string, k, v *yaml.Node) {
					if c.text(v, here+"."+key) != "" {
						conn.Extra[key] = c.resolve(v)
					}
				})
			default:
				if c.text(v, here) != "" {
					*texts[key] = c.resolve(v)
				}
			}
		})
		c.project.Conns[name] = conn
	})
}

// reference is ${env:NAME}, ${env:NAME:-default}, ${file:PATH} or, wrongly, ${anything}. $${ stands for a plain ${.
var reference = regexp.MustCompile(`\$?\$\{([^}]*)\}`)

// checkReferences looks at the form of the references in a text, without following them.
func (c *config) checkReferences(n *yaml.Node, text string) {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[0], "$$") {
			continue
		}
		scheme, rest, ok := strings.Cut(m[1], ":")
		if ok && (scheme == "env" || scheme == "file") && rest != "" && !strings.HasPrefix(rest, ":-") {
			continue
		}
		fix := "Write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}; $${ stands for a plain ${."
		if source.VariableName.MatchString(m[1]) {
			fix = fmt.Sprintf("Did you mean ${env:%s}?", m[1])
		}
		c.errorf(n, "Unknown reference", fix, "%s names neither an environment variable nor a file.", m[0])
	}
}

// resolve follows the references in a scalar's text. What it cannot follow becomes a finding.
func (c *config) resolve(n *yaml.Node) Secret {
	if n.Kind != yaml.ScalarNode {
		return Secret{}
	}
	before := len(c.findings)
	c.checkReferences(n, n.Value)
	if len(c.findings) > before {
		return Plain(n.Value)
	}
	var s Secret
	last := 0
	for _, m := range reference.FindAllStringSubmatchIndex(n.Value, -1) {
		plain := n.Value[last:m[0]]
		s.value, s.shown = s.value+plain, s.shown+plain
		last = m[1]
		whole, inside := n.Value[m[0]:m[1]], n.Value[m[2]:m[3]]
		if strings.HasPrefix(whole, "$$") {
			s.value, s.shown = s.value+whole[1:], s.shown+whole[1:]
			continue
		}
		part := c.follow(n, inside)
		s.value, s.shown = s.value+part.value, s.shown+part.shown
	}
	s.value, s.shown = s.value+n.Value[last:], s.shown+n.Value[last:]
	return s
}

// follow gives what one reference stands for.
func (c *config) follow(n *yaml.Node, inside string) Secret {
	scheme, rest, _ := strings.Cut(inside, ":")
	if scheme == "env" {
		name, fallback, hasFallback := strings.Cut(rest, ":-")
		value, ok := c.opts.Getenv(name)
		switch {
		case ok && value != "":
			return c.secret(value)
		case hasFallback:
			return Plain(fallback) // it stands in the file for everyone to read
		case ok:
			return Secret{}
		}
		c.errorf(n, "Missing environment variable", fmt.Sprintf("Set %s, or give a default: ${env:%s:-…}.", name, name),
			"${env:%s} stands here, and %s is not set.", name, name)
		return Secret{}
	}
	path := rest
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.project.Dir, filepath.FromSlash(path))
	}
	data, err := c.opts.ReadFile(path)
	if err != nil {
		why := err.Error()
		var pathError *os.PathError
		if errors.As(err, &pathError) {
			why = pathError.Err.Error()
		}
		c.errorf(n, "Secret file not readable", "Write the file, or correct the path.", "${file:%s}: %s.", rest, why)
		return Secret{}
	}
	return c.secret(strings.TrimRight(string(data), "\r\n"))
}

func (c *config) secret(value string) Secret {
	c.secrets = append(c.secrets, value)
	return Secret{value: value, shown: mask}
}
