package console

import (
	"context"
	"time"

	"damson/internal/doctor"
	"damson/internal/project"
	storedriver "damson/internal/store/driver"
	"damson/internal/tasks"
	"damson/internal/warehouse/driver"
)

// Drivers open the stores and warehouses there are. What they return beside an error is of no use.
type Drivers struct {
	StoreFile         func(ctx context.Context, path string) (storedriver.DB, error) // made when absent
	StoreServer       func(ctx context.Context, url string) (storedriver.DB, error)
	LookAtStore       func(ctx context.Context, url string, patience time.Duration, now func() time.Time) (doctor.StoreServer, error) // changes nothing
	Embedded          func(ctx context.Context, path string, l project.Limits) (driver.Warehouse, error)                              // "" = in memory
	Server            func(ctx context.Context, url string, o ServerOptions) (driver.Warehouse, error)
	ServerConnections int // of one process to a warehouse in a server, unless told otherwise
	ReadParquet       tasks.ParquetReader
	WriteParquet      tasks.ParquetWriter
}

// ServerOptions are what a process asks of a warehouse in a server. 0 = as the URL has it, or the driver.
type ServerOptions struct {
	MaxConns         int
	StatementTimeout time.Duration
	LockTimeout      time.Duration
	ConnectTimeout   time.Duration // of one attempt
}
