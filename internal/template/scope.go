package template

import "go.starlark.net/starlark"

// scope is the names bound in one part of a template; names not found are looked for in its parent. A for loop, a macro,
// a with, a filter and a call block open a scope; an if does not.
type scope struct {
	parent *scope
	names  []string
	values []starlark.Value
}

// get gives the value of a name, or nil.
func (s *scope) get(name string) starlark.Value {
	for ; s != nil; s = s.parent {
		for i, n := range s.names {
			if n == name {
				return s.values[i]
			}
		}
	}
	return nil
}

// set binds a name in this scope.
func (s *scope) set(name string, v starlark.Value) {
	for i, n := range s.names {
		if n == name {
			s.values[i] = v
			return
		}
	}
	s.names = append(s.names, name)
	s.values = append(s.values, v)
}

// clear forgets all names of this scope.
func (s *scope) clear() { s.names, s.values = s.names[:0], s.values[:0] }

// all lists the names that can be read here.
func (s *scope) all() []string {
	var names []string
	for ; s != nil; s = s.parent {
		names = append(names, s.names...)
	}
	return names
}
