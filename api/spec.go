package api

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed openapi.yaml
var specification []byte

// loadSpec reads and checks the specification.
func loadSpec() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	spec, err := loader.LoadFromData(specification)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	if err := spec.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return spec, nil
}

// operation is what the specification says of the requests of a route.
type operation struct {
	query        map[string]*openapi3.Schema
	body         *openapi3.Schema // nil: none
	bodyRequired bool
	streams      bool // the body is a file: its handler reads it as it comes
}

// operations finds the operation of each route, by method and path.
func operations(spec *openapi3.T) map[string]*operation {
	all := map[string]*operation{}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			o := &operation{query: map[string]*openapi3.Schema{}}
			for _, p := range op.Parameters {
				if p.Value.In == openapi3.ParameterInQuery {
					o.query[p.Value.Name] = p.Value.Schema.Value
				}
			}
			if op.RequestBody != nil {
				o.bodyRequired = op.RequestBody.Value.Required
				o.streams = op.RequestBody.Value.Content["multipart/form-data"] != nil
				if media := op.RequestBody.Value.Content.Get("application/json"); media != nil {
					o.body = media.Schema.Value
				}
			}
			all[method+" "+path] = o
		}
	}
	return all
}

// echoPath is a path of the specification as echo writes it.
func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
