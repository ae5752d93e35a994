package line_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// openapi loads one of LINE's published OpenAPI files.
func openapi(t testing.TB, name string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join("testdata", "openapi", name))
	require.NoError(t, err)
	return doc
}

// holds says that object is what the schema that base maps its type to allows.
// The file's discriminators stand without oneOf, where a validator ignores
// them, so the schema is looked up here, and so are those of the objects within
// that are known by their type.
func holds(t *testing.T, doc *openapi3.T, base string, object any) {
	t.Helper()
	o, ok := object.(map[string]any)
	require.True(t, ok, "%s is no object: %v", base, object)
	kind, _ := o["type"].(string)
	discriminator := doc.Components.Schemas[base].Value.Discriminator
	require.NotNil(t, discriminator, base)
	ref, known := discriminator.Mapping[kind]
	require.True(t, known, "LINE has no %s of type %q", base, kind)
	schema := doc.Components.Schemas[filepath.Base(ref.Ref)]
	require.NotNil(t, schema, ref.Ref)
	require.NoError(t, schema.Value.VisitJSON(o), "%s: %v", filepath.Base(ref.Ref), o)
}

func decode(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// What LINE has added since the file was published, and what it may add one day.
var newerEvents, newerMessages = map[string]bool{"messageEdited": true, "teleport": true}, map[string]bool{"hologram": true}

func TestTheFixturesAreWhatLINEPublishes(t *testing.T) {
	t.Parallel()
	doc := openapi(t, "webhook.yml")
	files, err := filepath.Glob("testdata/webhook/*.json")
	require.NoError(t, err)
	kinds := map[string]bool{}
	for _, f := range files {
		body, err := os.ReadFile(f)
		require.NoError(t, err)
		delivery := decode(t, body)
		require.NoError(t, doc.Components.Schemas["CallbackRequest"].Value.VisitJSON(delivery), f)
		for _, e := range delivery.(map[string]any)["events"].([]any) {
			o := e.(map[string]any)
			kind := o["type"].(string)
			kinds[kind] = true
			if source, ok := o["source"]; ok {
				holds(t, doc, "Source", source)
			}
			message, ok := o["message"].(map[string]any)
			if newer, _ := message["type"].(string); newerMessages[newer] {
				continue
			}
			if ok {
				holds(t, doc, "MessageContent", message)
			}
			if !newerEvents[kind] {
				holds(t, doc, "Event", o)
			}
		}
	}
	for kind := range doc.Components.Schemas["Event"].Value.Discriminator.Mapping {
		require.True(t, kinds[kind], "no fixture of a %s event", kind)
	}
}
