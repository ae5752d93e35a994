package bot

import (
	"encoding/json"
	"unicode/utf8"

	"kaiwa/internal/conversation"
)

// readAnswer reads what a webhook bot answered:
//
//	{messages?: [Content], context?: {name: text or number; null removes},
//	 action?: "continue" | "handoff" | "end", handoff?: {summary?, queue_id?, skills?},
//	 understood?: true | false}
//
// A skill is its name, or {name, level}. Fields it does not know are ignored,
// so that a bot may be newer than Kaiwa; of those it knows, one wrong in a
// message spoils that message, any other the answer.
func readAnswer(body []byte) (Reply, error) {
	d := &document{}
	v, err := d.read(body)
	if err != nil {
		return Reply{}, &Error{Failure: FailureMalformed, Err: err}
	}
	reply := Reply{Action: ActionContinue, Understood: true}
	if v.object() {
		reply.Understood = v.field("understood").truth(true)
		for i, m := range v.field("messages").list(MaxAnswerMessages) {
			own := &document{}
			m.d = own
			reply.Messages = append(reply.Messages, readContent(m.withoutNUL()))
			if len(own.problems) == 0 {
				continue
			}
			if reply.Wrong == nil {
				reply.Wrong = make(map[int][]conversation.FieldError)
			}
			reply.Wrong[i] = own.problems
		}
		for _, m := range v.members() {
			if m.name != "messages" {
				m.checkText(m.name)
				m.withoutNUL()
			}
		}
		reply.Context = readVariables(v.field("context"))
		reply.Action, reply.Handoff = readAction(v)
	}
	if len(d.problems) > 0 {
		first := d.problems[0]
		return Reply{}, &Error{Failure: FailureInvalidAnswer, Pointer: first.Pointer, Detail: first.Detail}
	}
	return reply, nil
}

func readVariables(v value) map[string]string {
	if !v.given() {
		return nil
	}
	out := make(map[string]string)
	for i, m := range v.members() {
		if i == MaxVariables {
			v.wrong("There are more than 100 variables.")
			break
		}
		if n := utf8.RuneCountInString(m.name); n == 0 || n > MaxVariableName {
			m.wrong("The name of a variable has 1 to 100 characters.")
		}
		switch x := m.v.(type) {
		case nil:
			out[m.name] = ""
		case json.Number:
			out[m.name] = x.String()
		case string:
			out[m.name] = x
		default:
			m.wrong("The value of a variable is a text or a number.")
		}
		if utf8.RuneCountInString(out[m.name]) > MaxVariableValue {
			m.wrong("The value of a variable has at most 4,000 characters.")
		}
	}
	return out
}

func readAction(v value) (Action, *Handoff) {
	h := v.field("handoff")
	action := ActionContinue
	if given := v.field("action"); given.given() {
		action = Action(given.text())
	}
	switch action {
	case ActionHandoff:
		return action, readHandoff(h)
	case ActionContinue, ActionEnd:
		// A handoff without its action is a bot that believes people come.
		if o, ok := h.v.(map[string]any); h.given() && (!ok || len(o) > 0) {
			h.wrong(`This is given, but the action is not "handoff".`)
		}
	default:
		v.field("action").wrong(`This must be "continue", "handoff" or "end".`)
	}
	return action, nil
}

func readHandoff(v value) *Handoff {
	if !v.given() {
		return &Handoff{}
	}
	v.object()
	h := &Handoff{Summary: v.field("summary").shortText(MaxSummary)}
	h.QueueID = readQueueID(v.field("queue_id"))
	for _, s := range v.field("skills").list(MaxSkills) {
		h.Skills = append(h.Skills, readSkill(s))
	}
	return h
}

func readQueueID(v value) string {
	id := v.text()
	if id != "" && !conversation.ValidID(conversation.PrefixQueue, id) {
		v.wrong("This is not the id of a queue.")
	}
	return id
}

// readSkill reads a skill: its name, or an object with name and level.
func readSkill(v value) Skill {
	s := Skill{Level: 1}
	name := v
	if _, short := v.v.(string); !short {
		v.object("name", "level")
		name = v.field("name")
		s.Level = int(v.field("level").whole(1, 10, 1))
	}
	if s.Name = name.shortText(MaxSkillName); s.Name == "" {
		name.wrong("The name of the skill is missing.")
	}
	return s
}
