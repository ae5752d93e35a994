package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
)

// maxBody is the size of a request body, in bytes; maxDrained is how much of a
// larger one is read nevertheless.
const (
	maxBody    = 1 << 20
	maxDrained = 8 << 20
)

// validate lets a request pass that is as the specification has it, and leaves
// its body to be read again.
func validate(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			for _, v := range c.ParamValues() {
				// What is no id of any kind names nothing.
				if strings.ContainsFunc(v, notInID) || v == "" {
					return conversation.Errorf(conversation.CodeNotFound, "There is nothing at this address.")
				}
			}
			if err := op.validateQuery(c.Request()); err != nil {
				return err
			}
			if op.streams {
				return next(c)
			}
			if err := op.validateBody(c.Request()); err != nil {
				return err
			}
			return next(c)
		}
	}
}

func notInID(r rune) bool {
	return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// validateQuery checks the query and drops parameters without a value, as
// forms send them.
func (o *operation) validateQuery(r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return conversation.Errorf(conversation.CodeInvalid, "The query of the URL is not well-formed.")
	}
	var wrong invalid
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		values := slices.DeleteFunc(query[name], func(v string) bool { return v == "" })
		schema, known := o.query[name]
		switch {
		case !known:
			wrong.add(conversation.Pointer(name), "This query parameter is not known here.")
		case len(values) == 0:
			query.Del(name)
		case len(values) > 1:
			wrong.add(conversation.Pointer(name), "This query parameter is given more than once.")
		default:
			checkText(&wrong, conversation.Pointer(name), values[0])
			var value any = values[0]
			if schema.Type.Is(openapi3.TypeInteger) {
				n, err := strconv.ParseInt(values[0], 10, 64)
				if err != nil {
					wrong.add(conversation.Pointer(name), "Must be a whole number.")
					continue
				}
				value = float64(n)
			}
			wrong.schema(schema, value, conversation.Pointer(name))
		}
	}
	r.URL.RawQuery = query.Encode()
	return wrong.err()
}

func (o *operation) validateBody(r *http.Request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	// Handlers read it again; binding looks at the length.
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	switch {
	case len(body) == 0 && o.bodyRequired:
		return conversation.Errorf(conversation.CodeInvalid, "The request has no body; it must be JSON.")
	case len(body) == 0:
		return nil
	case o.body == nil:
		return conversation.Errorf(conversation.CodeInvalid, "This request takes no body.")
	}
	if err := jsonContent(r); err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return conversation.Errorf(conversation.CodeInvalid, "The request body is not valid UTF-8.")
	}
	var value any
	if err := decodeNumbers(body, &value); err != nil {
		return notJSON(err)
	}
	var wrong invalid
	checkTexts(&wrong, "", value)
	wrong.schema(o.body, value, "")
	return wrong.err()
}

// readBody reads at most maxBody bytes. Of what is above that it takes some more
// and throws it away: whoever writes a body to its end before they read would find
// the connection reset, and not the answer.
func readBody(r *http.Request) ([]byte, error) {
	var body []byte
	var err error
	if r.ContentLength <= maxBody {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	}
	switch {
	case err != nil:
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "The request body broke off.", Err: err}
	case r.ContentLength > maxBody || len(body) > maxBody:
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained) // it is refused, whatever else comes
		return nil, tooLarge()
	}
	return body, nil
}

// jsonContent refuses bodies that say they are something else; without a word
// about it they are taken for JSON.
func jsonContent(r *http.Request) error {
	const header = "Content-Type"
	if sent := r.Header.Get(header); sent != "" {
		kind, params, err := mime.ParseMediaType(sent)
		mergePatch := kind == "application/merge-patch+json" && r.Method == http.MethodPatch
		if err != nil || (kind != echo.MIMEApplicationJSON && !mergePatch) || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
			return conversation.Errorf(codeUnsupportedMediaType, "The request body must be application/json in UTF-8.")
		}
	}
	r.Header.Set(header, echo.MIMEApplicationJSON)
	return nil
}

// decodeNumbers decodes exactly one JSON value, numbers as they are written.
func decodeNumbers(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

func notJSON(err error) error {
	detail := "The request body is not one well-formed JSON value."
	if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
		detail = fmt.Sprintf("The request body is not well-formed JSON: see byte %d.", s.Offset)
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: detail, Err: err}
}

// checkTexts finds text that no database and no chat can take.
func checkTexts(wrong *invalid, at string, v any) {
	switch v := v.(type) {
	case string:
		checkText(wrong, at, v)
	case []any:
		for i, x := range v {
			checkTexts(wrong, at+conversation.Pointer(strconv.Itoa(i)), x)
		}
	case map[string]any:
		for name, x := range v {
			checkText(wrong, at, name)
			checkTexts(wrong, at+conversation.Pointer(name), x)
		}
	}
}

func checkText(wrong *invalid, at, s string) {
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		wrong.add(at, "Must not contain the character NUL or invalid UTF-8.")
	}
}

// schema adds what is wrong with value, one sentence a place, in order.
func (i *invalid) schema(schema *openapi3.Schema, value any, at string) {
	err := schema.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsRequest(), openapi3.EnableFormatValidation(), dateTime)
	found := map[string]string{}
	collect(err, at, found)
	places := make([]string, 0, len(found))
	for place := range found {
		places = append(places, place)
	}
	sort.Strings(places)
	for _, place := range places {
		if !slices.ContainsFunc(*i, func(f conversation.FieldError) bool { return f.Pointer == place }) {
			i.add(place, "%s", found[place])
		}
	}
}

var dateTime = openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(s string) error {
	_, err := time.Parse(time.RFC3339, s)
	return err
}))

func collect(err error, at string, found map[string]string) {
	switch e := err.(type) {
	case nil:
	case openapi3.MultiError:
		for _, err := range e {
			collect(err, at, found)
		}
	case *openapi3.SchemaError:
		place := at
		for _, step := range e.JSONPointer() {
			place += conversation.Pointer(step)
		}
		place, sentence := explain(e, place)
		if _, there := found[place]; !there {
			found[place] = sentence
		}
	default:
		found[at] = "This is not valid."
	}
}

// explain says in a sentence what a schema error means, and where.
func explain(e *openapi3.SchemaError, place string) (where, sentence string) {
	s := e.Schema
	switch e.SchemaField {
	case "properties":
		// The name is in the reason only: property "x" is unsupported.
		if _, quoted, ok := strings.Cut(e.Reason, "property "); ok {
			if quoted, err := strconv.QuotedPrefix(quoted); err == nil {
				if name, err := strconv.Unquote(quoted); err == nil {
					return place + conversation.Pointer(name), "This field is not known here."
				}
			}
		}
		return place, "There is a field that is not known here."
	case "required":
		return place, "This field is required."
	case "nullable":
		return place, "Must not be null."
	case "type":
		return place, "Must be " + typeName(s) + "."
	case "enum":
		words := make([]string, 0, len(s.Enum))
		for _, v := range s.Enum {
			words = append(words, fmt.Sprint(v))
		}
		return place, "Must be one of: " + strings.Join(words, ", ") + "."
	case "minLength":
		if s.MinLength == 1 {
			return place, "Must not be empty."
		}
		return place, fmt.Sprintf("Must have at least %d characters.", s.MinLength)
	case "maxLength":
		return place, fmt.Sprintf("Must have at most %d characters.", *s.MaxLength)
	case "minimum":
		return place, fmt.Sprintf("Must be at least %.0f.", *s.Min)
	case "maximum":
		return place, fmt.Sprintf("Must be at most %.0f.", *s.Max)
	case "maxItems":
		return place, fmt.Sprintf("Must have at most %d items.", *s.MaxItems)
	case "maxProperties":
		return place, fmt.Sprintf("Must have at most %d fields.", *s.MaxProps)
	case "pattern":
		if hint, ok := s.Extensions["x-error"].(string); ok {
			return place, strings.ToUpper(hint[:1]) + hint[1:] + "."
		}
	case "format":
		if s.Format == "date-time" {
			return place, "Must be a time such as 2026-01-31T09:00:00Z (RFC 3339)."
		}
		return place, "Must be " + typeName(s) + "."
	}
	return place, "Does not have the form that is expected here."
}

func typeName(s *openapi3.Schema) string {
	switch {
	case s.Type.Is(openapi3.TypeString):
		return "text"
	case s.Type.Is(openapi3.TypeInteger):
		return "a whole number"
	case s.Type.Is(openapi3.TypeNumber):
		return "a number"
	case s.Type.Is(openapi3.TypeBoolean):
		return "true or false"
	case s.Type.Is(openapi3.TypeArray):
		return "a list"
	}
	return "an object"
}
