package api

import (
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// route is one line of the route table.
type route struct {
	Method, Path string // as in openapi.yaml
	Permission   Permission
}

// routes is every route there is, each with the permission it needs. One that
// stands in openapi.yaml and not here, or the other way round, keeps the server
// from starting.
var routes = []route{
	{http.MethodPost, "/webhooks/line/{channel_id}", public}, // authenticated by LINE's signature
	{http.MethodGet, "/survey/{token}", public},              // whoever has the personal link may answer
	{http.MethodPost, "/survey/{token}", public},
	{http.MethodGet, "/link/{token}", public}, // whoever has the personal link may link and unlink
	{http.MethodPost, "/link/{token}", public},
	{http.MethodGet, "/healthz", public},
	{http.MethodGet, "/readyz", public},
	{http.MethodGet, "/metrics", public},
	{http.MethodGet, "/files/{link}", public}, // whoever has the link may
	{http.MethodHead, "/files/{link}", public},
	{http.MethodGet, "/files/{link}/preview", public},
	{http.MethodHead, "/files/{link}/preview", public},

	{http.MethodGet, "/api/v1/me", PermissionSelf},
	{http.MethodPut, "/api/v1/me/presence", PermissionSelf},
	{http.MethodGet, "/api/v1/me/offers", PermissionSelf},
	{http.MethodPost, "/api/v1/offers/{id}/accept", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/offers/{id}/decline", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/offers/{id}/rescind", PermissionConversationsSupervise},

	{http.MethodGet, "/api/v1/channels", PermissionConfigurationRead},
	{http.MethodPost, "/api/v1/channels", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/channels/{id}", PermissionConfigurationRead},
	{http.MethodPatch, "/api/v1/channels/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/channels/{id}", PermissionConfigurationWrite},
	{http.MethodPost, "/api/v1/channels/{id}/check", PermissionConfigurationWrite},
	{http.MethodPost, "/api/v1/channels/{id}/connect", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/channels/{id}/webhook-stats", PermissionConfigurationRead},
	{http.MethodGet, "/api/v1/channels/{id}/quota", PermissionConfigurationRead},
	{http.MethodGet, "/api/v1/channels/{id}/rich-menus", PermissionConfigurationRead},
	{http.MethodGet, "/api/v1/channels/{id}/rich-menus/{menu_id}/image", PermissionConfigurationRead},

	{http.MethodGet, "/api/v1/workstreams", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/workstreams", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/workstreams/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/workstreams/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/workstreams/{id}", PermissionConfigurationWrite},
	{http.MethodPost, "/api/v1/workstreams/{id}/copy", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/automated-messages/defaults", PermissionDirectoryRead},

	{http.MethodGet, "/api/v1/bots", PermissionConfigurationRead},
	{http.MethodPost, "/api/v1/bots", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/bots/{id}", PermissionConfigurationRead},
	{http.MethodPatch, "/api/v1/bots/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/bots/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/queues", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/queues", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/queues/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/queues/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/queues/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/queues/{id}/members", PermissionDirectoryRead},
	{http.MethodPut, "/api/v1/queues/{id}/members/{agent_id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/queues/{id}/members/{agent_id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/rulesets", PermissionConfigurationRead},
	{http.MethodPost, "/api/v1/rulesets", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/rulesets/{id}", PermissionConfigurationRead},
	{http.MethodPatch, "/api/v1/rulesets/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/rulesets/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/calendars", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/calendars", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/calendars/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/calendars/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/calendars/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/dispositions", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/dispositions", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/dispositions/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/dispositions/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/dispositions/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/quick-replies", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/quick-replies", PermissionConversationsServe}, // and configuration.write for everybody's
	{http.MethodGet, "/api/v1/quick-replies/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/quick-replies/{id}", PermissionConversationsServe},
	{http.MethodDelete, "/api/v1/quick-replies/{id}", PermissionConversationsServe},

	{http.MethodGet, "/api/v1/surveys", PermissionConfigurationRead},
	{http.MethodPost, "/api/v1/surveys", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/surveys/{id}", PermissionConfigurationRead},
	{http.MethodPatch, "/api/v1/surveys/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/surveys/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/contacts", PermissionContactsRead},
	{http.MethodPost, "/api/v1/contacts", PermissionContactsWrite},
	{http.MethodGet, "/api/v1/contacts/{id}", PermissionContactsRead},
	{http.MethodPatch, "/api/v1/contacts/{id}", PermissionContactsWrite},
	{http.MethodDelete, "/api/v1/contacts/{id}", PermissionContactsWrite},

	{http.MethodGet, "/api/v1/skills", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/skills", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/skills/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/skills/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/skills/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/capacity-profiles", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/capacity-profiles", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/capacity-profiles/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/capacity-profiles/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/capacity-profiles/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/presences", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/presences", PermissionConfigurationWrite},
	{http.MethodGet, "/api/v1/presences/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/presences/{id}", PermissionConfigurationWrite},
	{http.MethodDelete, "/api/v1/presences/{id}", PermissionConfigurationWrite},

	{http.MethodGet, "/api/v1/agents", PermissionDirectoryRead},
	{http.MethodPost, "/api/v1/agents", PermissionAgentsWrite},
	{http.MethodGet, "/api/v1/agents/{id}", PermissionDirectoryRead},
	{http.MethodPatch, "/api/v1/agents/{id}", PermissionAgentsWrite},
	{http.MethodDelete, "/api/v1/agents/{id}", PermissionAgentsWrite},
	{http.MethodPut, "/api/v1/agents/{id}/presence", PermissionConversationsSupervise},
	{http.MethodPost, "/api/v1/agents/{id}/tokens", PermissionTokensManage},
	{http.MethodGet, "/api/v1/tokens", PermissionTokensManage},
	{http.MethodDelete, "/api/v1/tokens/{id}", PermissionTokensManage},

	{http.MethodGet, "/api/v1/conversations", PermissionConversationsRead},
	{http.MethodGet, "/api/v1/conversations/{id}", PermissionConversationsRead},
	{http.MethodGet, "/api/v1/conversations/{id}/messages", PermissionConversationsRead},
	{http.MethodPost, "/api/v1/conversations/{id}/messages", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/messages/{message_id}/retry", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/messages/validate", PermissionConversationsServe},
	{http.MethodGet, "/api/v1/conversations/{id}/quick-replies", PermissionConversationsRead},
	{http.MethodPost, "/api/v1/conversations/{id}/notes", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/typing", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/read", PermissionConversationsServe},
	{http.MethodPut, "/api/v1/conversations/{id}/contact", PermissionConversationsServe},
	{http.MethodPatch, "/api/v1/conversations/{id}/context", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/attachments", PermissionConversationsServe},
	{http.MethodGet, "/api/v1/attachments/{id}", PermissionConversationsRead},
	{http.MethodDelete, "/api/v1/attachments/{id}", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/attachments/{id}/release", PermissionQuarantineManage},
	{http.MethodGet, "/api/v1/quarantine", PermissionQuarantineManage},
	{http.MethodGet, "/api/v1/conversations/{id}/timeline", PermissionConversationsRead},
	{http.MethodGet, "/api/v1/conversations/{id}/survey", PermissionConversationsRead},
	{http.MethodGet, "/api/v1/survey-invitations", PermissionConversationsSupervise},
	{http.MethodPost, "/api/v1/conversations/{id}/pick", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/assign", PermissionConversationsSupervise},
	{http.MethodPost, "/api/v1/conversations/{id}/transfer", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/release", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/park", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/resume", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/end", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/wrap-up", PermissionConversationsServe},
	{http.MethodPost, "/api/v1/conversations/{id}/handoff", PermissionConversationsSupervise},
	{http.MethodGet, "/api/v1/conversations/{id}/routing-log", PermissionConversationsRead},
	{http.MethodPost, "/api/v1/conversations/{id}/close", PermissionConversationsClose},
	{http.MethodPatch, "/api/v1/conversations/{id}/routing", PermissionConversationsSupervise},
	{http.MethodPost, "/api/v1/conversations/bulk", PermissionConversationsSupervise},
	{http.MethodPost, "/api/v1/routing/dry-run", PermissionConfigurationRead}, // and conversations.read for one that there is
	{http.MethodGet, "/api/v1/conversations/{id}/account-links", PermissionConversationsRead},
	{http.MethodGet, "/api/v1/contacts/{id}/account-links", PermissionContactsRead},
	{http.MethodDelete, "/api/v1/account-links/{id}", PermissionContactsWrite},
	{http.MethodPost, confirmLink, PermissionAccountLinksConfirm},
	{http.MethodGet, "/api/v1/events", PermissionEventsRead},
	{http.MethodGet, "/api/v1/events/stream", PermissionEventsRead},

	{http.MethodGet, "/api/v1/audit-log", PermissionAuditRead},
}

// confirmLink answers with what is good once and kept nowhere.
const confirmLink = "/api/v1/account-links/{id}/confirm"

// register puts every route of the table in front of its handler.
func (s *Server) register(spec *openapi3.T) error {
	left := operations(spec)
	table := map[string]echo.MiddlewareFunc{}
	for _, r := range routes {
		key := r.Method + " " + r.Path
		op, ok := left[key]
		if !ok {
			return fmt.Errorf("the route %s is not in openapi.yaml", key)
		}
		delete(left, key)
		if r.Permission == public {
			continue
		}
		steps := []echo.MiddlewareFunc{s.authorise(r.Permission), validate(op)}
		if r.Method == http.MethodPost && !op.streams && r.Path != confirmLink {
			steps = append(steps, s.idempotent)
		}
		table[r.Method+" "+echoPath(r.Path)] = chain(steps)
	}
	for key := range left {
		return fmt.Errorf("openapi.yaml has %s, which is not in the route table", key)
	}

	s.echo.POST("/webhooks/line/:channel_id", s.receiveLINEWebhook)
	s.echo.GET(surveyRoute, s.getSurveyPage)
	s.echo.POST(surveyRoute, s.postSurveyPage)
	s.echo.GET(linkRoute, s.getAccountLinkPage)
	s.echo.POST(linkRoute, s.postAccountLinkPage)
	s.echo.GET("/healthz", s.getHealth)
	s.echo.GET("/readyz", s.getReadiness)
	s.echo.GET("/metrics", s.getMetrics)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		s.echo.Add(method, "/files/:link", s.getFile)
		s.echo.Add(method, "/files/:link/preview", s.getPreview)
	}
	const upload = "/api/v1/conversations/:id/attachments"
	s.echo.POST(upload, s.uploadAttachment, table[http.MethodPost+" "+upload])

	var missing error
	RegisterHandlers(router{func(method, path string, h echo.HandlerFunc) *echo.Route {
		guard, ok := table[method+" "+path]
		if !ok {
			missing = fmt.Errorf("the handler of %s %s is not in the route table", method, path)
			return nil
		}
		return s.echo.Add(method, path, h, guard)
	}}, NewStrictHandler(s, nil))
	return missing
}

// chain makes one middleware of several, the first outermost.
func chain(steps []echo.MiddlewareFunc) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		for i := len(steps) - 1; i >= 0; i-- {
			next = steps[i](next)
		}
		return next
	}
}

// router is what the generated code registers its handlers with.
type router struct {
	add func(method, path string, h echo.HandlerFunc) *echo.Route
}

func (r router) CONNECT(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodConnect, path, h)
}
func (r router) DELETE(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodDelete, path, h)
}
func (r router) GET(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodGet, path, h)
}
func (r router) HEAD(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodHead, path, h)
}
func (r router) OPTIONS(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodOptions, path, h)
}
func (r router) PATCH(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPatch, path, h)
}
func (r router) POST(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPost, path, h)
}
func (r router) PUT(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPut, path, h)
}
func (r router) TRACE(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodTrace, path, h)
}
