package linesim

import "net/http"

func (s *Simulator) routes() http.Handler {
	mux := http.NewServeMux()
	for _, ep := range endpoints {
		mux.HandleFunc(ep.pattern, s.serve(ep))
	}
	mux.HandleFunc("GET /dialog/bot/accountLink", s.accountLinkPage)
	s.controlRoutes(mux)
	s.pageRoutes(mux)
	// Nothing here asks who calls, so that no web page elsewhere may.
	return http.NewCrossOriginProtection().Handler(mux)
}
