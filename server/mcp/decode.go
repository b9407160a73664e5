package mcp

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"sync"

	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/decoder"
)

// fast decodes and encodes what sonic handles safely.
//
// CopyString is off: decoded strings are views of the text they were decoded
// from, which is memory of the call's own. ValidateString and CaseSensitive
// keep sonic from accepting what the schema's validator sees differently.
var fast = sonic.Config{
	CaseSensitive:  true,
	ValidateString: true,
	SortMapKeys:    true,
}.Froze()

// decoders are decoders of sonic with the options of fast, which would make one
// for each text.
var decoders = sync.Pool{New: func() any {
	d := decoder.NewDecoder("")
	d.SetOptions(decoder.OptionCaseSensitive | decoder.OptionValidateString)
	return d
}}

// decodeFast decodes raw, which must never be changed afterwards, into v.
func decodeFast(raw []byte, v any) error {
	d := decoders.Get().(*decoder.Decoder)
	d.Reset(view(raw))
	err := d.Decode(v)
	if err == nil {
		err = d.CheckTrailings()
	}
	d.Reset("")
	decoders.Put(d)
	return err
}

// strict is fast for what outlives the message it is decoded from.
var strict = sonic.Config{
	CaseSensitive:  true,
	ValidateString: true,
	CopyString:     true,
}.Froze()

// valid reports whether raw is one JSON value.
func valid(raw []byte) bool { return sonic.Valid(raw) }

var errDecode = errors.New("the arguments do not fit the tool's type")

// decoderFor returns a function that decodes JSON, which must never be changed
// afterwards, into a *t.
func decoderFor(t reflect.Type) func(raw []byte, v any) error {
	if custom(t, unmarshaling, nil) || sonic.Pretouch(t) != nil {
		return decodeSlowly
	}
	return func(raw []byte, v any) error {
		if decodeFast(raw, v) == nil {
			return nil
		}
		// Errors of encoding/json name the field; those of sonic quote the input.
		reflect.ValueOf(v).Elem().SetZero()
		if err := decodeSlowly(raw, v); err != nil {
			return err
		}
		return errDecode
	}
}

func decodeSlowly(raw []byte, v any) error {
	err := json.Unmarshal(raw, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		where := wrong.Field
		if where == "" {
			where = "the value"
		}
		return errors.New(where + ": JSON " + wrong.Value + " does not fit " + wrong.Type.String())
	}
	return err
}

// encoderFor returns a function that encodes a *t.
func encoderFor(t reflect.Type) func(v any) ([]byte, error) {
	// What an interface holds is only known at the call.
	if custom(t, marshaling, nil) || t.Kind() == reflect.Interface || sonic.Pretouch(t) != nil {
		return json.Marshal
	}
	return fast.Marshal
}

// direction is what a type is examined for.
type direction struct{ methods [2]reflect.Type }

var (
	unmarshaling = direction{[2]reflect.Type{
		reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}}
	marshaling = direction{[2]reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	}}
)

// custom reports whether values of type t can reach something that sonic does
// not handle as encoding/json does: fixed arrays, interfaces with methods, and
// types with their own methods for JSON. seen ends recursion.
func custom(t reflect.Type, d direction, seen map[reflect.Type]bool) bool {
	if seen == nil {
		seen = make(map[reflect.Type]bool)
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	for _, m := range d.methods {
		if t.Implements(m) || reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	switch t.Kind() {
	case reflect.Array:
		return true
	case reflect.Interface:
		return t.NumMethod() > 0
	case reflect.Map:
		return custom(t.Key(), d, seen) || custom(t.Elem(), d, seen)
	case reflect.Pointer, reflect.Slice:
		return custom(t.Elem(), d, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if custom(t.Field(i).Type, d, seen) {
				return true
			}
		}
	}
	return false
}
