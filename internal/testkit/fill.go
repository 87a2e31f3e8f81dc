package testkit

import (
	"fmt"
	"math/rand/v2"
	"reflect"
)

// Filler puts small values into everything that is exported, so that what is found in two places often meets.
type Filler struct {
	Rand *rand.Rand
	// Full: nothing stays zero or empty, for tests that look for forgotten fields.
	Full bool
	// Of makes the values of some types; the others are filled by their kind.
	Of map[reflect.Type]func(r *rand.Rand) any
}

var fillTexts = []string{"", "u1", "u2", "training.jump", "s1", "dsq", "reinstate", "clear", "ä\u2028"}

// Fill fills what p points to.
func (f *Filler) Fill(p any) { f.fill(reflect.ValueOf(p).Elem()) }

func (f *Filler) fill(v reflect.Value) {
	if of := f.Of[v.Type()]; of != nil {
		v.Set(reflect.ValueOf(of(f.Rand)))
		return
	}
	n := f.Rand.Int64N(5)
	if f.Full {
		n = 1 + f.Rand.Int64N(4)
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(f.Full || n%2 == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.String:
		v.SetString(fillTexts[1+f.Rand.IntN(len(fillTexts)-1)])
		if !f.Full && n == 0 {
			v.SetString("")
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = 32
		}
		v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i))
			}
		}
	default:
		panic(fmt.Sprintf("testkit: no values for a %v", v.Type()))
	}
}

// Differ is the first place in which two values differ, unexported fields included; "" if there is none. A nil slice or
// map is an empty one, and two functions are the same.
func Differ(a, b any) string {
	return differ("", reflect.ValueOf(a), reflect.ValueOf(b))
}

func differ(at string, a, b reflect.Value) string {
	if !a.IsValid() || !b.IsValid() || a.Type() != b.Type() {
		if a.IsValid() == b.IsValid() {
			return fmt.Sprintf("%s: %v and %v", at, a.Type(), b.Type())
		}
		return at + ": one is not there"
	}
	switch a.Kind() {
	case reflect.Func:
		return ""
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return at + ": one is nil"
			}
			return ""
		}
		if a.Kind() == reflect.Pointer && a.Pointer() == b.Pointer() {
			return ""
		}
		return differ(at, a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if d := differ(at+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d of them", at, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := differ(fmt.Sprintf("%s[%d]", at, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d of them", at, a.Len(), b.Len())
		}
		for _, k := range a.MapKeys() {
			if d := differ(fmt.Sprintf("%s[%v]", at, k), a.MapIndex(k), b.MapIndex(k)); d != "" {
				return d
			}
		}
		return ""
	default:
		if !a.Equal(b) {
			return fmt.Sprintf("%s: %v and %v", at, a, b)
		}
		return ""
	}
}

// Shape names every field that a value of this type holds, one a line with its type: what a stored form must know. It
// does not look into the types of except, which are made anew and not stored.
func Shape(v any, except ...any) string {
	seen := map[reflect.Type]bool{}
	for _, e := range except {
		seen[reflect.TypeOf(e)] = true
	}
	var walk func(t reflect.Type) string
	walk = func(t reflect.Type) string {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			return walk(t.Elem())
		case reflect.Struct:
		default:
			return ""
		}
		if seen[t] {
			return ""
		}
		seen[t] = true
		own, below := "", ""
		for i := range t.NumField() {
			own += fmt.Sprintf("%v.%s %v\n", t, t.Field(i).Name, t.Field(i).Type)
			below += walk(t.Field(i).Type)
		}
		return own + below
	}
	return walk(reflect.TypeOf(v))
}
