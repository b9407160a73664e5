package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"millrace/server/mcp"
)

const watchedURI = "test://watched-resource"

// addResources adds a text, a file and a template for many. What a handler leaves
// out of a content, the URI and the type, is filled in from the resource.
func addResources(s *mcp.Server) {
	s.AddResource(&mcp.Resource{
		URI: "test://static-text", Name: "static-text", Description: "A text that never changes.", MIMEType: "text/plain",
	}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return contents(&mcp.ResourceContents{Text: "This is the content of the static text resource."})
	})
	s.AddResource(&mcp.Resource{
		URI: "test://static-binary", Name: "static-binary", Description: "An image that never changes.",
		MIMEType: "image/png", Size: int64(len(png)),
	}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return contents(&mcp.ResourceContents{Blob: png})
	})
	s.AddResourceTemplate(&mcp.ResourceTemplate{
		URITemplate: "test://template/{id}/data", Name: "template", Description: "The data of anything that has an id.",
		MIMEType: "application/json",
	}, templateData)
}

func contents(c *mcp.ResourceContents) (*mcp.ReadResourceResult, error) {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{c}}, nil
}

// templateData reads a resource that the template stands for. One that did not
// exist would be answered with mcp.ResourceNotFoundError.
func templateData(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	id := req.Params.Variables["id"]
	data, err := json.Marshal(map[string]any{"id": id, "templateTest": true, "data": "Data for ID: " + id})
	if err != nil {
		return nil, err
	}
	return contents(&mcp.ResourceContents{Text: string(data)})
}

// addDirectory serves the files under dir: nothing outside of it can be reached.
// closeDir ends that.
func addDirectory(s *mcp.Server, dir string) (closeDir func(), err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	closeDir = func() { _ = root.Close() } // it was only read
	if err := s.AddDirectory(&mcp.Directory{
		URI: "file:///served/", Root: root, Name: "served", Description: "The files that --dir names.", List: true,
	}); err != nil {
		closeDir()
		return nil, err
	}
	return closeDir, nil
}

// addWatchedResource adds a resource that changes every two seconds until ctx
// ends. Who watches it is told, and reads it again.
func addWatchedResource(ctx context.Context, s *mcp.Server) {
	var changes atomic.Int64
	s.AddResource(&mcp.Resource{
		URI: watchedURI, Name: "watched-resource", Description: "A text that changes every two seconds.", MIMEType: "text/plain",
	}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return contents(&mcp.ResourceContents{Text: fmt.Sprintf("changed %d times", changes.Load())})
	})
	go func() {
		ticker := time.NewTicker(2 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			changes.Add(1)
			// The only error is that ctx has ended.
			_ = s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: watchedURI})
		}
	}()
}
