package value

import (
	"fmt"
	"maps"
	"slices"

	"go.starlark.net/starlark"
)

// Record is a value with named attributes and nothing else: an imported file and the objects of the
// context. Get gives nil for a name it does not know.
type Record struct {
	Kind  string
	Names func() []string
	Get   func(name string) (starlark.Value, error)
	// Missing says why a name is not there and what to do; nil for the usual words.
	Missing func(name string) (detail, fix string)
}

func (x *Record) String() string        { return "<" + x.Kind + ">" }
func (x *Record) Type() string          { return x.Kind }
func (x *Record) Freeze()               {}
func (x *Record) Truth() starlark.Bool  { return true }
func (x *Record) Hash() (uint32, error) { return 0, fmt.Errorf("%s is no key", x.Kind) }
func (x *Record) AttrNames() []string   { return x.Names() }

func (x *Record) Attr(name string) (starlark.Value, error) { return x.Get(name) }

// Namespace is the one value whose attributes a template may set, also from inside a loop.
type Namespace struct{ Fields map[string]starlark.Value }

func (x *Namespace) String() string        { return "<namespace>" }
func (x *Namespace) Type() string          { return "namespace" }
func (x *Namespace) Freeze()               {}
func (x *Namespace) Truth() starlark.Bool  { return true }
func (x *Namespace) Hash() (uint32, error) { return 0, fmt.Errorf("a namespace is no key") }
func (x *Namespace) AttrNames() []string   { return slices.Sorted(maps.Keys(x.Fields)) }

func (x *Namespace) Attr(name string) (starlark.Value, error) { return x.Fields[name], nil }
