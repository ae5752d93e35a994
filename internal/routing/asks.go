package routing

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// asks is what a condition looks at of the conversation, and whether it looks at
// the skills of the agent. Rather too much than too little.
type asks struct {
	all        bool            // everything
	fields     map[string]bool // by their names in conditions
	attributes map[string]bool // by name; all of them are a field
	skills     bool
}

// asksOf is what a condition looks at; nothing when it does not compile.
func asksOf(s scope, expr string) asks {
	c, err := compiled.get(s, expr)
	if err != nil {
		return asks{}
	}
	return c.asks
}

func looksAt(a *ast.AST) asks {
	found := asks{fields: map[string]bool{}, attributes: map[string]bool{}}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), ast.AllMatcher()) {
		if e.Kind() != ast.IdentKind {
			continue
		}
		field, of := selected(e)
		switch e.AsIdent() {
		case "conversation":
			found.conversation(field, of)
		case "agent":
			found.skills = found.skills || field == "" || field == "skills"
		}
	}
	return found
}

// conversation notes that a field is looked at, at e; "" is that it cannot be
// told which.
func (a *asks) conversation(field string, e ast.NavigableExpr) {
	if field == "" {
		a.all = true
		return
	}
	if field == "attributes" {
		if name, _ := selected(e); name != "" {
			a.attributes[name] = true
			return
		}
	}
	a.fields[field] = true
}

// selected is the name that is asked of e, as in e.name, e["name"], e.?name and
// e[?"name"], and where; "" when none is.
func selected(e ast.NavigableExpr) (name string, at ast.NavigableExpr) {
	up, ok := e.Parent()
	if !ok {
		return "", e
	}
	switch up.Kind() {
	case ast.SelectKind:
		return up.AsSelect().FieldName(), up
	case ast.CallKind:
		call := up.AsCall()
		switch call.FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
		default:
			return "", e
		}
		args := call.Args()
		if len(args) != 2 || args[0].ID() != e.ID() || args[1].Kind() != ast.LiteralKind {
			return "", e
		}
		if text, ok := args[1].AsLiteral().(types.String); ok {
			return string(text), up
		}
	}
	return "", e
}
