package hub

import "paceline/gateway/wire"

// Kept is how many moments a race's map keeps for later.
func (h *Hub) Kept(competition string, a wire.Audience) int {
	return len(h.races[competition].layers[a].ring)
}
