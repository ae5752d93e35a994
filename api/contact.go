package api

import (
	"context"
	"slices"
	"strconv"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showContact(k store.Contact) Contact {
	return Contact{
		ID: k.ID, Name: k.Name, Email: Nullable(k.Email), Phone: Nullable(k.Phone), CustomerNumber: Nullable(k.CustomerNumber), Company: Nullable(k.Company),
		PreferredAgentIds: append([]string{}, k.PreferredAgentIDs...),
		Version:           k.Version, CreatedAt: Time(k.CreatedAt), UpdatedAt: Time(k.UpdatedAt),
	}
}

func contactResponse(k store.Contact) ContactJSONResponse {
	return ContactJSONResponse{Body: showContact(k), Headers: ContactResponseHeaders{ETag: etag(k.Version)}}
}

// apply checks the input and puts it into k.
func (in ContactInput) apply(k *store.Contact) error {
	k.Name, k.Email, k.Phone, k.CustomerNumber, k.Company = in.Name, in.Email, in.Phone, in.CustomerNumber, in.Company
	k.PreferredAgentIDs = append([]string(nil), in.PreferredAgentIds...)
	var wrong invalid
	for i, id := range in.PreferredAgentIds {
		if slices.Contains(in.PreferredAgentIds[:i], id) {
			wrong.add("/preferred_agent_ids/"+strconv.Itoa(i), "This agent is in the list already.")
		}
	}
	return wrong.err()
}

// ListContacts lists contacts.
func (s *Server) ListContacts(ctx context.Context, r ListContactsRequestObject) (ListContactsResponseObject, error) {
	items, next, err := listed("contacts", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Contact, error) {
		return s.store.Contacts(ctx, r.Params.Q, after, limit)
	}, func(k store.Contact) store.Cursor { return store.Cursor{At: k.CreatedAt, ID: k.ID} }, showContact)
	return ListContacts200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateContact creates a contact.
func (s *Server) CreateContact(ctx context.Context, r CreateContactRequestObject) (CreateContactResponseObject, error) {
	k := store.Contact{ID: idFor(ctx, conversation.PrefixContact)}
	if err := r.Body.apply(&k); err != nil {
		return nil, err
	}
	k, err := s.store.CreateContact(ctx, origin(ctx), k)
	return CreateContact201JSONResponse{contactResponse(k)}, err
}

// GetContact reads a contact.
func (s *Server) GetContact(ctx context.Context, r GetContactRequestObject) (GetContactResponseObject, error) {
	k, err := s.store.Contact(ctx, r.ID)
	return GetContact200JSONResponse{contactResponse(k)}, err
}

// UpdateContact changes a contact.
func (s *Server) UpdateContact(ctx context.Context, r UpdateContactRequestObject) (UpdateContactResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	k, err := s.store.UpdateContact(ctx, origin(ctx), r.ID, version, func(k *store.Contact) error {
		var in ContactInput
		if err := mergePatch(ContactInput{Name: k.Name, Email: k.Email, Phone: k.Phone, CustomerNumber: k.CustomerNumber, Company: k.Company, PreferredAgentIds: k.PreferredAgentIDs}, *r.Body, &in); err != nil {
			return err
		}
		return in.apply(k)
	})
	return UpdateContact200JSONResponse{contactResponse(k)}, err
}

// DeleteContact deletes a contact.
func (s *Server) DeleteContact(ctx context.Context, r DeleteContactRequestObject) (DeleteContactResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteContact204Response{}, s.store.DeleteContact(ctx, origin(ctx), r.ID, version)
}
