package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// public is the permission of routes that need none.
const public Permission = ""

type grant struct {
	Permission Permission
	Role       store.Role // needs at least
}

// grants says which role each permission needs. Agents see every conversation:
// they answer for colleagues, and transfers need it.
var grants = []grant{
	{PermissionSelf, store.RoleAgent},
	{PermissionConversationsRead, store.RoleAgent},
	{PermissionConversationsServe, store.RoleAgent}, // the life table decides whose
	{PermissionConversationsSupervise, store.RoleSupervisor},
	{PermissionConversationsClose, store.RoleAgent}, // the life table decides whose
	{PermissionDirectoryRead, store.RoleAgent},      // names of queues, agents and workstreams
	{PermissionEventsRead, store.RoleAgent},
	{PermissionContactsRead, store.RoleAgent},
	{PermissionContactsWrite, store.RoleAgent}, // who talks to customers learns who they are
	{PermissionConfigurationRead, store.RoleSupervisor},
	{PermissionConfigurationWrite, store.RoleAdmin},
	{PermissionAgentsWrite, store.RoleAdmin},
	{PermissionTokensManage, store.RoleAdmin},
	{PermissionAuditRead, store.RoleAdmin},
	{PermissionAccountLinksConfirm, store.RoleAdmin}, // says who a customer is: for the token of the company's own server
	{PermissionQuarantineManage, store.RoleAdmin},    // what may be malware reaches people and their machines
}

// permissions lists what a caller may do, in the order of grants.
func permissions(i store.Identity) []Permission {
	list := []Permission{}
	for _, g := range grants {
		inScope := len(i.Token.Scope) == 0 || g.Permission == PermissionSelf || slices.Contains(i.Token.Scope, string(g.Permission))
		if inScope && i.Role().Includes(g.Role) {
			list = append(list, g.Permission)
		}
	}
	return list
}

// authorise lets a request pass whose token has the permission.
func (s *Server) authorise(p Permission) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			value, err := bearerOf(r)
			if err != nil {
				return err
			}
			i, err := s.store.Authenticate(r.Context(), value)
			if err != nil {
				return err
			}
			if wait := s.limits.take(i.Token.ID); wait > 0 {
				return tooManyRequests(c, wait)
			}
			if !slices.Contains(permissions(i), p) {
				return conversation.Errorf(conversation.CodeForbidden, "This needs the permission %s, which the token does not have.", p)
			}
			// An API that cannot write this still answers reads.
			if err := s.store.TokenUsed(r.Context(), i.Token); err != nil {
				s.log.Warn("the use of a token was not recorded", "token_id", i.Token.ID, "error", err)
			}
			ctx := context.WithValue(r.Context(), keyCaller, i)
			ctx = context.WithValue(ctx, keyBearer, value)
			if s.signs.due(i.Agent.ID, time.Now()) {
				s.alive(ctx)
			}
			c.SetRequest(r.WithContext(context.WithValue(ctx, keyAddress, c.RealIP())))
			return next(c)
		}
	}
}

// bearerOf is the value of the token that a request carries.
func bearerOf(r *http.Request) (string, error) {
	scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", conversation.Errorf(conversation.CodeUnauthenticated, "The header Authorization: Bearer … is missing.")
	}
	return strings.TrimSpace(value), nil
}
