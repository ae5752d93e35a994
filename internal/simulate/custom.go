package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"kaiwa/internal/routing"
)

// Custom is a custom assignment, with the fields that it has in the API.
type Custom routing.CustomAssignment

// UnmarshalYAML reads a custom assignment.
func (c *Custom) UnmarshalYAML(n *yaml.Node) error {
	var plain any
	if err := n.Decode(&plain); err != nil {
		return err
	}
	doc, err := json.Marshal(plain)
	if err == nil {
		strict := json.NewDecoder(bytes.NewReader(doc))
		strict.DisallowUnknownFields()
		err = strict.Decode((*routing.CustomAssignment)(c))
	}
	if err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: this is no custom assignment: %s", n.Line, strings.TrimPrefix(err.Error(), "json: "))}}
	}
	return nil
}

// MarshalYAML writes it as it is read.
func (c Custom) MarshalYAML() (any, error) {
	doc, err := json.Marshal(routing.CustomAssignment(c))
	if err != nil {
		return nil, err
	}
	var plain any
	err = json.Unmarshal(doc, &plain)
	return plain, err
}
