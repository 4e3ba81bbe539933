"""From samples to segments: a detector gives P(speech) over time, pure maths makes segments that tile the timeline."""
