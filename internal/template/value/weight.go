package value

import (
	"go.starlark.net/starlark"
)

// MaxWork bounds the bytes that one string operation may touch, estimated from above.
const MaxWork = 1 << 28

// Weight is about the number of bytes in a value's text, one level deep.
func Weight(v starlark.Value) int64 {
	switch v := v.(type) {
	case starlark.String:
		return int64(len(v)) + 1
	case starlark.Tuple:
		total := int64(1)
		for _, x := range v {
			total += shallowWeight(x)
		}
		return total
	case *starlark.List:
		total := int64(1)
		for i := range v.Len() {
			total += shallowWeight(v.Index(i))
		}
		return total
	}
	return shallowWeight(v)
}

func shallowWeight(v starlark.Value) int64 {
	if s, ok := v.(starlark.String); ok {
		return int64(len(s)) + 1
	}
	return int64(max(starlark.Len(v), 0))*8 + 16
}
