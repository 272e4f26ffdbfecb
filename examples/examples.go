// Package examples holds the projects that ship inside the damson binary.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed all:geolife
var files embed.FS

// GeoLife gives the files of the GeoLife project: trajectories become features, a model and predictions.
func GeoLife() fs.FS {
	sub, err := fs.Sub(files, "geolife")
	if err != nil {
		panic("examples: the embedded project has another name: " + err.Error())
	}
	return sub
}
