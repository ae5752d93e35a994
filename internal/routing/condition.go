package routing

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/parser"

	_ "time/tzdata" // conditions name time zones, wherever this runs
)

const (
	// MaxCondition is the longest condition, in characters.
	MaxCondition = 4000
	// maxCost bounds one evaluation. One unit is about ten characters read, or
	// one operation.
	maxCost = 250_000
	// maxPattern bounds a regular expression, in instructions of its program.
	maxPattern = 5_000
)

// ConditionError says why a condition is refused.
type ConditionError struct {
	Line   int    // from 1
	Column int    // from 1, in characters
	Detail string // what is wrong
	Hint   string // what to do about it; may be ""
}

func (e *ConditionError) Error() string {
	s := fmt.Sprintf("Line %d, column %d: %s.", e.Line, e.Column, e.Detail)
	if e.Hint != "" {
		s += " " + e.Hint
	}
	return s
}

// Compile tells whether expr is a condition: an expression in CEL over the
// names of Facts that gives true or false. The error is a *ConditionError.
func Compile(expr string) error {
	if _, err := scopeRule.compile(expr); err != nil {
		return err
	}
	return nil
}

// condition is an expression ready to be evaluated.
type condition struct {
	program cel.Program
	source  *ast.SourceInfo
	asks    asks
}

// scope is what a condition is asked over.
type scope int

const (
	scopeRule       scope = iota // the names of Facts
	scopeBucket                  // conversation, as QueuedFacts
	scopeAssignment              // conversation, as QueuedFacts, and agent, as AgentFacts
)

func (s scope) environment() *cel.Env {
	if s == scopeRule {
		return environment()
	}
	return queueEnvironments()[s]
}

// queueEnvironments are those of conditions of custom assignments.
var queueEnvironments = sync.OnceValue(func() map[scope]*cel.Env {
	facts := ext.NativeTypes(ext.ParseStructTag("json"), reflect.TypeFor[QueuedFacts](), reflect.TypeFor[AgentFacts]())
	queued := cel.Variable("conversation", cel.ObjectType("routing.QueuedFacts"))
	return map[scope]*cel.Env{
		scopeBucket:     environmentOf(facts, queued),
		scopeAssignment: environmentOf(facts, queued, cel.Variable("agent", cel.ObjectType("routing.AgentFacts"))),
	}
})

var environment = sync.OnceValue(func() *cel.Env {
	return environmentOf(
		ext.NativeTypes(ext.ParseStructTag("json"),
			reflect.TypeFor[MessageFacts](), reflect.TypeFor[ConversationFacts](), reflect.TypeFor[CustomerFacts](),
			reflect.TypeFor[ContactFacts](),
			reflect.TypeFor[ChannelFacts](), reflect.TypeFor[BotFacts]()),
		cel.Variable("message", cel.ObjectType("routing.MessageFacts")),
		cel.Variable("conversation", cel.ObjectType("routing.ConversationFacts")),
		cel.Variable("customer", cel.ObjectType("routing.CustomerFacts")),
		cel.Variable("contact", cel.ObjectType("routing.ContactFacts")),
		cel.Variable("channel", cel.ObjectType("routing.ChannelFacts")),
		cel.Variable("bot", cel.ObjectType("routing.BotFacts")),
		cel.Variable("context", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("now", cel.TimestampType))
})

// environmentOf makes an environment with names of its own, and with the
// functions and limits of all.
func environmentOf(names ...cel.EnvOption) *cel.Env {
	env, err := cel.NewEnv(append(names,
		cel.OptionalTypes(),
		cel.EnableHiddenAccumulatorName(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(MaxCondition),
		cel.RegexProgramSizeLimit(maxPattern),
		cel.ExtendedValidations(),
		ext.Strings(),
		cel.ASTValidators(noGrowth{}, knownZones{}),
	)...)
	if err != nil {
		panic(fmt.Sprintf("the environment of conditions: %v", err)) // a mistake in this file
	}
	return env
}

// noGrowth refuses what makes texts, lists or maps larger than those in the
// facts, and lists so deep in each other that comparing two takes for ever. A
// cost is charged after the operation, so one that multiplies sizes could take
// all memory or time before the limit is noticed.
type noGrowth struct{}

const (
	growth = "conditions compare texts and do not build them"
	deep   = "lists and maps in lists in lists are not available"
	// maxDepth is how deep lists and maps stand in each other: the words of
	// several texts are two.
	maxDepth = 2
)

func (noGrowth) Name() string { return "kaiwa.no_growth" }

func (noGrowth) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), ast.AllMatcher()) {
		if depth(e.Type()) > maxDepth {
			issues.ReportErrorAtID(e.ID(), deep)
		}
		if e.Kind() != ast.CallKind {
			continue
		}
		switch name := e.AsCall().FunctionName(); name {
		case "replace", "join", "format", "strings.quote":
			issues.ReportErrorAtID(e.ID(), "%s is not available: %s", name, growth)
		case overloads.TypeConvertDyn: // would hide the depth of what it is given
			issues.ReportErrorAtID(e.ID(), "dyn is not available")
		case operators.Add:
			// map and filter collect what they find by + themselves.
			if first := e.AsCall().Args()[0]; first.Kind() == ast.IdentKind && first.AsIdent() == parser.HiddenAccumulatorName {
				continue
			}
			if slices.ContainsFunc(a.GetOverloadIDs(e.ID()), func(id string) bool {
				return id == overloads.AddString || id == overloads.AddBytes || id == overloads.AddList
			}) {
				issues.ReportErrorAtID(e.ID(), "+ is not available for texts and lists: %s", growth)
			}
		}
	}
}

// knownZones refuses time zones that there are not, where they stand in the
// condition itself: it would fail whenever it is asked.
type knownZones struct{}

func (knownZones) Name() string { return "kaiwa.known_zones" }

func (knownZones) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), ast.KindMatcher(ast.CallKind)) {
		call := e.AsCall()
		if !call.IsMemberFunction() || len(call.Args()) != 1 || call.Args()[0].Kind() != ast.LiteralKind {
			continue
		}
		for _, id := range a.GetOverloadIDs(e.ID()) {
			zone := call.Args()[0].AsLiteral()
			if strings.HasPrefix(id, "timestamp_to_") && types.IsError(types.Timestamp{}.Receive(call.FunctionName(), id, []ref.Val{zone})) {
				issues.ReportErrorAtID(call.Args()[0].ID(), "there is no time zone %v", zone.Value())
			}
		}
	}
}

func depth(t *cel.Type) int {
	deepest := 0
	for _, p := range t.Parameters() {
		deepest = max(deepest, depth(p))
	}
	if k := t.Kind(); k == types.ListKind || k == types.MapKind {
		deepest++
	}
	return deepest
}

func (s scope) compile(expr string) (*condition, *ConditionError) {
	if strings.TrimSpace(expr) == "" {
		return nil, &ConditionError{Line: 1, Column: 1, Detail: "there is no condition", Hint: "Write true for a rule that always matches."}
	}
	checked, issues := s.environment().Compile(expr)
	if found := issues.Errors(); len(found) > 0 {
		first := found[0]
		return nil, &ConditionError{
			Line: max(1, first.Location.Line()), Column: max(0, first.Location.Column()) + 1,
			Detail: plain(first.Message), Hint: s.hint(plain(first.Message)),
		}
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, &ConditionError{Line: 1, Column: 1, Detail: "this gives a " + cel.FormatCELType(t) + ", not true or false", Hint: "Compare it with something: ==, !=, <, >, in."}
	}
	program, err := s.environment().Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &ConditionError{Line: 1, Column: 1, Detail: plain(err.Error()), Hint: s.hint(plain(err.Error()))}
	}
	return &condition{program, checked.NativeRep().SourceInfo(), looksAt(checked.NativeRep())}, nil
}

// plain is the first sentence of what the compiler says, without its marks.
func plain(message string) string {
	message, _, _ = strings.Cut(message, "\n")
	message = strings.TrimPrefix(message, "Syntax error: ")
	message, _, _ = strings.Cut(message, " (in container")
	message = strings.ReplaceAll(message, "'<EOF>'", "the end")
	for class, name := range map[string]string{
		"routing.MessageFacts": "message", "routing.ConversationFacts": "conversation", "routing.CustomerFacts": "customer",
		"routing.ContactFacts": "contact", "routing.ChannelFacts": "channel", "routing.BotFacts": "bot", "routing.QueuedFacts": "conversation", "routing.AgentFacts": "agent",
	} {
		message = strings.ReplaceAll(message, class, name)
	}
	message = strings.TrimSuffix(message, ".")
	if runes := []rune(message); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return message
}

const moment = "A time is asked for its hour, day or month, as in now.getHours(\"Asia/Tokyo\") >= 9."

// hints are looked for in order.
var hints = []struct{ sign, hint string }{
	{growth, "Ask each text for what it contains, as in message.texts.exists(t, t.contains(\"…\"))."},
	{"undeclared reference", "The names are message, conversation, customer, contact, channel, bot, context and now; a text stands in quotation marks."},
	{"there is no time zone", "Name it as in now.getHours(\"Asia/Tokyo\"), or by its distance, as in now.getHours(\"+09:00\")."},
	{"timestamp' does not support", moment},
	{"(timestamp, int)", moment},
	{"(int, timestamp)", moment},
	{"undefined field", "The fields of each name are in docs/routing.md; a context variable is asked for as context.name."},
	{"found no matching overload", "The two sides are of different kinds: a text stands in quotation marks, a number does not."},
	{"token recognition error", "Use == to compare, && and || to combine, and plain quotation marks: \" or '."},
	{"invalid matches argument", "The pattern is not a regular expression (RE2 syntax)."},
	{"program size", "The pattern is too large."},
	{"invalid timestamp argument", "Write it as in timestamp(\"2026-01-31T09:00:00+09:00\")."},
	{"invalid duration argument", "Write it as in duration(\"90s\") or duration(\"1h30m\")."},
	{"expression code point size exceeds limit", "Split it into several rules."},
	{"missing ')'", "A parenthesis is not closed."},
	{"expecting ')'", "A parenthesis is not closed."},
	{"the end", "It ends too early."},
	{"extraneous input", "Use == to compare, && and || to combine."},
	{"mismatched input", "Use == to compare, && and || to combine."},
}

// queueHints are looked for first in conditions of custom assignments.
var queueHints = []struct{ sign, hint string }{
	{growth, "Ask each text for what it contains, as in conversation.language.startsWith(\"zh\")."},
	{"undeclared reference", "The names are conversation and, in the rules, agent; a text stands in quotation marks."},
	{"undefined field", "The fields of conversation and agent are in docs/routing.md; for how long somebody has waited a rule has after_seconds."},
}

func (s scope) hint(message string) string {
	if s != scopeRule {
		for _, h := range queueHints {
			if strings.Contains(message, h.sign) {
				return h.hint
			}
		}
	}
	for _, h := range hints {
		if strings.Contains(message, h.sign) {
			return h.hint
		}
	}
	return ""
}

// Failure says in one word why a condition could not be evaluated.
type Failure string

// The failures of a condition.
const (
	FailureCondition Failure = "bad_condition" // it does not compile
	FailureKey       Failure = "no_such_key"   // an attribute or context variable that is not there
	FailureIndex     Failure = "out_of_range"  // a place in a text or list that is not there
	FailureZero      Failure = "divided_by_zero"
	FailureOverflow  Failure = "overflow"    // a number or time beyond its limits
	FailureValue     Failure = "bad_value"   // a text that is no number, time or zone
	FailurePattern   Failure = "bad_pattern" // no regular expression, or too large
	FailureCost      Failure = "cost_limit"  // it took too long
	FailureOther     Failure = "failed"
)

// failures tells what the evaluator's words mean. Its own text never leaves
// this file: it may quote what the customer wrote.
var failures = []struct {
	sign    string
	failure Failure
}{
	{"cost limit exceeded", FailureCost},
	{"no such key", FailureKey},
	{"optional.none() dereference", FailureKey},
	{"out of bounds", FailureIndex},
	{"index", FailureIndex},
	{"invalid substring range", FailureIndex},
	{"by zero", FailureZero},
	{"overflow", FailureOverflow},
	{"error parsing regexp", FailurePattern},
	{"regex program size", FailurePattern},
	{"type conversion error", FailureValue},
	{"invalid RFC 3339", FailureValue},
	{"time: ", FailureValue},
	{"unknown time zone", FailureValue},
	{"timezone offset", FailureValue},
	{"strconv", FailureValue},
}

// sharedErrors are values of which the evaluator has one for all conditions, so
// the place in them is that of whoever met it first.
var sharedErrors = map[string]bool{"timestamp overflow": true, "no such overload": true}

// evaluation is what came of a condition.
type evaluation struct {
	matched      bool
	failure      Failure // "" when it could be evaluated
	line, column int     // of the failure, from 1; 0 when not known
}

// evaluate asks the condition expr about the facts behind variables.
func evaluate(expr string, variables map[string]any) evaluation {
	return evaluateIn(scopeRule, expr, variables)
}

// evaluateIn asks a condition of a scope.
func evaluateIn(s scope, expr string, variables map[string]any) evaluation {
	c, err := compiled.get(s, expr)
	if err != nil {
		return evaluation{failure: FailureCondition, line: err.Line, column: err.Column}
	}
	value, _, evalErr := c.program.Eval(variables)
	if evalErr == nil {
		return evaluation{matched: value == types.True}
	}
	e := evaluation{failure: FailureOther}
	// The evaluator's sentence begins with what went wrong; what it quotes follows.
	for _, f := range failures {
		if begins(evalErr.Error(), f.sign) {
			e.failure = f.failure
			break
		}
	}
	if at, ok := evalErr.(*types.Err); ok && !sharedErrors[at.Error()] {
		if where := c.source.GetStartLocation(at.NodeID()); where.Line() > 0 {
			e.line, e.column = where.Line(), where.Column()+1
		}
	}
	return e
}

func begins(message, sign string) bool {
	i := strings.Index(message, sign)
	return i >= 0 && i < 32
}
