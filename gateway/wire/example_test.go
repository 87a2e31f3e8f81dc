package wire_test

import (
	"fmt"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
)

// A client's frame as text, and the answer in binary.
func Example() {
	m, err := wire.Decode(wire.JSON, []byte(`{"ping": {"t0_ms": "1718462760000"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := wire.Encode(wire.Proto, &livev1.ServerMessage{Message: &livev1.ServerMessage_Pong{
		Pong: &livev1.Pong{T0Ms: m.GetPing().T0Ms, T1Ms: 1718462760021, T2Ms: 1718462760021}}})
	fmt.Printf("%d bytes: %x\n", len(answer), answer)

	_, err = wire.Decode(wire.JSON, []byte(`{"ping": {"t0_ms": NaN}}`))
	fmt.Println(wire.ErrorOf(err).Code, wire.Strike(err))
	fmt.Println(wire.CloseMalformed, wire.CloseMalformed.Meaning())
	// Output:
	// 23 bytes: 5a1508c088f3e2813210d588f3e2813218d588f3e28132
	// wire.malformed true
	// malformed terminal
}
