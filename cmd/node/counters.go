package main

// count names what an operator can watch.
func (n *node) count() {
	n.countStore()
	c := n.counters
	calls, places, links := n.cluster.Caller().Counts(), n.cluster.Placement().Counts(), n.cluster.Link().Counts()
	c.Counter("paceline_call_requests_total", "Requests to grains.", calls.Requests.Load)
	c.Counter("paceline_call_tells_total", "One-way messages to grains.", calls.Tells.Load)
	c.Counter("paceline_call_retries_total", "Attempts after the first.", calls.Retries.Load)
	c.Counter("paceline_call_timeouts_total", "Attempts without an answer in time.", calls.Timeouts.Load)
	c.Counter("paceline_call_moved_total", "Messages that came to an activation that had ended.", calls.Moved.Load)
	c.Counter("paceline_call_busy_total", "Messages refused because too many were under way.", calls.Busy.Load)
	c.Gauge("paceline_call_outstanding", "Requests under way.", func() float64 { return float64(n.cluster.Caller().Outstanding()) })
	c.Gauge("paceline_grains_active", "Activations on this node.", func() float64 { return float64(places.Active.Load()) })
	c.Counter("paceline_grains_activated_total", "Activations made.", places.Activated.Load)
	c.Counter("paceline_grains_panicked_total", "Activations that ended by a panic.", places.Panicked.Load)
	c.Counter("paceline_grains_fenced_total", "Activations that another one had overtaken.", places.Fenced.Load)
	c.Counter("paceline_call_onward_total", "Messages passed on to the member that had fenced their grain here.", calls.Onward.Load)
	c.Counter("paceline_grains_forced_total", "Activations that had to end and did not in time.", places.Forced.Load)
	c.Counter("paceline_grains_shed_total", "Requests not begun because their caller had given up.", places.Shed.Load)
	c.Counter("paceline_link_received_total", "Updates and notices for this node.", links.Received.Load)
	c.Counter("paceline_link_dropped_total", "Updates and notices dropped because the queue was full.", links.Dropped.Load)
	c.Counter("paceline_link_parcels_total", "Parcels sent to other members.", links.Parcels.Load)
	c.Counter("paceline_link_holes_total", "Parcels of other members that never came.", links.Holes.Load)
	c.Counter("paceline_link_refused_total", "Requests to other members refused because too much waits for them.", links.Refused.Load)
	c.Counter("paceline_link_unanswered_total", "Answers to other members left out because too much waits for them.", links.Unanswered.Load)
	c.Gauge("paceline_link_waiting_bytes", "Bytes of messages that wait for one other member, the one with most of them.", func() float64 {
		bytes, _ := n.cluster.Link().Fullest()
		return float64(bytes)
	})
	c.Gauge("paceline_link_under_way", "Parcels sent to one other member and not known to be taken, the one with most of them.", func() float64 {
		_, parcels := n.cluster.Link().Fullest()
		return float64(parcels)
	})
	c.Gauge("paceline_ws_connections", "WebSocket connections.", func() float64 { return float64(n.edge.live.Connections()) })
	c.Gauge("paceline_wakeups_known", "Wake-ups that are due, or due within seconds.", func() float64 { return float64(n.sweeper.rows.Load()) })
	c.Counter("paceline_wakeups_reads_total", "Reads of wake-up rows.", n.sweeper.reads.Load)
	c.Counter("paceline_wakeups_failed_total", "Reads of wake-up rows that failed.", n.sweeper.failed.Load)
	c.Counter("paceline_wakeups_fired_total", "Wake-ups sent to grains.", n.sweeper.fired.Load)
	n.countStrangers()
	n.countViews()
}

// countStrangers names what came to the ports between nodes and was not let in.
func (n *node) countStrangers() {
	f, g := n.cluster.Filter(), n.cluster.Gossip()
	if f == nil || g == nil {
		return // a node of its own: nobody may come
	}
	c, port, strangers := n.counters, f.Counts(), g.Counts()
	c.Counter("paceline_port_passed_total", "Messages of other nodes that were let in.", port.Passed.Load)
	c.Counter("paceline_port_dropped_total", "Messages and calls at the nodes' port that no node would send; dropped.", port.Dropped)
	c.Counter("paceline_port_strangers_total", "Connections at the nodes' port without a certificate of the cluster's.", port.Strangers.Load)
	c.Counter("paceline_port_crowded_total", "Connections at the nodes' port that were hung up on because there were too many.", port.Crowded.Load)
	if cert := n.cluster.Certificate(); cert != nil {
		c.Counter("paceline_port_certificate_failed_total", "Times that the files of the node's certificate had changed and could not be taken.", cert.Failed)
	}
	c.Counter("paceline_gossip_other_key_total", "Packets and streams of gossip that no key of this node's opens.", strangers.OtherKey.Load)
	c.Counter("paceline_gossip_other_cluster_total", "Packets and streams of gossip of another cluster's name, or of none.", strangers.OtherCluster.Load)
	c.Counter("paceline_gossip_unreadable_total", "Packets and streams of gossip that make no sense.", strangers.Unreadable.Load)
	c.Counter("paceline_gossip_crowded_total", "Streams of gossip that were hung up on because too many were open.", strangers.Full.Load)
}
