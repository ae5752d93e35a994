package bot

import (
	_ "embed"
	"slices"
	"sync"
)

//go:embed demo.json
var demo []byte

// DemoDocument is a script to begin with: a shop's support in English,
// Japanese, Thai, Traditional Chinese and Danish.
func DemoDocument() []byte { return slices.Clone(demo) }

// Demo is the script of DemoDocument.
func Demo() *Script { return demoScript() }

var demoScript = sync.OnceValue(func() *Script {
	s, err := ParseScript(demo)
	if err != nil {
		panic("bot: the demo script is not valid: " + err.Error()) // a test sees to it
	}
	return s
})
