package telemetry

// Observer feeds both the metrics and the health with what the flow reports:
// one event, told once by its source, is seen in both places or in neither.
// It implements order.Observer.
type Observer struct {
	*Metrics
	Health *Health
}

// Paused implements order.Observer.
func (o Observer) Paused(dependency string, err error) {
	o.Metrics.Paused(dependency, err)
	o.Health.Paused(dependency, err)
}
