package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Meter gives the present values of some metrics; it is asked at each scrape, at times by several at once.
type Meter interface {
	Measure(ctx context.Context) ([]Metric, error)
}

// Metric is one metric with its values.
type Metric struct {
	Name    string // as Prometheus names it: damson_runs_active, damson_task_runs_total
	Help    string
	Counter bool     // it only grows while the process lives; otherwise it is a gauge
	Labels  []string // names
	Values  []Value
}

// Value is the metric's value for some labels, in the order of the Metric's Labels.
type Value struct {
	Labels []string
	Value  float64
}

// metrics serves a registry of its own: nothing that a library registers for itself is shown.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "damson_build_info", Help: "1, with Damson's version as a label.", ConstLabels: prometheus.Labels{"version": s.opts.Version},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, m := range s.opts.Meters {
		registry.MustRegister(collector{m, s.opts.Redact})
	}
	// A meter that fails, because the store is away, takes only its own metrics with it.
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// collector turns a Meter into what Prometheus's library asks for. It describes nothing beforehand: the library then checks
// names and labels at each scrape.
type collector struct {
	meter  Meter
	redact func(string) string
}

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime) // the library hands no context on
	defer cancel()
	metrics, err := c.meter.Measure(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(prometheus.NewDesc("damson_meter_error", "A meter that could not measure.", nil, nil), redacted(c.redact(err.Error())))
	}
	for _, m := range metrics {
		desc, kind := prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), prometheus.GaugeValue
		if m.Counter {
			kind = prometheus.CounterValue
		}
		for _, v := range m.Values {
			value, err := prometheus.NewConstMetric(desc, kind, v.Value, valid(v.Labels)...)
			if err != nil {
				value = prometheus.NewInvalidMetric(desc, err)
			}
			out <- value
		}
	}
}

// redacted is an error's text without secrets.
type redacted string

func (r redacted) Error() string { return string(r) }

// valid mends label values that are not UTF-8, a file's name for example: one of them would take the whole metric away.
func valid(labels []string) []string {
	mended := slices.Clone(labels)
	for i, l := range mended {
		mended[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return mended
}
