package store

import "fmt"

// visibleTo is the condition, in SQL, under which an agent may see a
// conversation: they hold it or held it, it waits in a queue they are a member
// of, or it is offered to them now. Supervisors see everything; do not ask for
// them. conversation is the alias of a row of conversations, agent the
// placeholder or column of the agent's id.
//
// The subqueries that could read a whole table end after one row, which keeps
// PostgreSQL from reading it into a hash.
func visibleTo(conversation, agent string) string {
	return fmt.Sprintf(`(%[1]s.agent_id = %[2]s
		OR (%[1]s.owner = 'queue' AND %[3]s)
		OR (SELECT 1 FROM sessions WHERE sessions.conversation_id = %[1]s.id AND sessions.kind = 'agent' AND sessions.participant_id = %[2]s LIMIT 1) = 1
		OR (SELECT 1 FROM offers WHERE offers.conversation_id = %[1]s.id AND offers.state = 'live' AND offers.agent_id = %[2]s LIMIT 1) = 1)`,
		conversation, agent, memberOf(conversation+".queue_id", agent))
}

// memberOf is the condition under which an agent is a member of a queue.
func memberOf(queue, agent string) string {
	return fmt.Sprintf(`(SELECT 1 FROM queue_members WHERE queue_members.queue_id = %s AND queue_members.agent_id = %s LIMIT 1) = 1`, queue, agent)
}

// eventVisibleTo is the condition under which an agent may see an event: it is
// of a conversation they may see, or tells that one has left their queue, or is
// about an offer that was made to them, or about themselves. Offers made to
// others are none of their business.
func (d dialect) eventVisibleTo(event, agent string) string {
	return fmt.Sprintf(`CASE
		WHEN %[1]s.conversation_id = '' THEN %[1]s.subject_id = %[2]s
		WHEN %[1]s.type LIKE 'offer.%%' THEN (SELECT 1 FROM offers WHERE offers.id = %[1]s.subject_id AND offers.agent_id = %[2]s) = 1
		ELSE (SELECT 1 FROM conversations WHERE conversations.id = %[1]s.conversation_id AND %[3]s) = 1
			OR %[4]s
		END`, event, agent, visibleTo("conversations", agent), memberOf(d.jsonText(event+".data", leftQueue), agent))
}
