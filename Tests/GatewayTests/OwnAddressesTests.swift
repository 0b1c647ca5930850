import Packets
import Testing

@testable import Gateway

/// The host's own addresses in the steering program.
@Suite struct OwnAddressesTests {
    private struct Full: Error {}

    /// What the program could not take is entered once it can, though nothing else changes.
    @Test func failuresAreTriedAgain() throws {
        let (one, two) = (IPAddress(ipv4: 1), IPAddress(ipv4: 2))
        var own = OwnAddresses()
        var program: Set<IPAddress> = []
        var tries = 0
        var isFull = false
        func enter(_ addresses: Set<IPAddress>) throws(Full) {
            tries += 1
            if isFull { throw Full() }
            program = addresses
        }
        try own.set([one], by: enter)
        try own.set([one], by: enter)
        #expect(tries == 1 && program == [one] && !own.areStale)
        isFull = true
        for _ in 0..<3 {
            #expect(throws: Full.self) { try own.set([one, two], by: enter) }
            #expect(own.areStale)
        }
        // Back to what it was before the failure: nobody knows how far the program has come.
        #expect(throws: Full.self) { try own.set([one], by: enter) }
        isFull = false
        try own.set([one, two], by: enter)
        #expect(tries == 6 && program == [one, two] && !own.areStale)
        try own.set([one, two], by: enter)
        #expect(tries == 6)
    }
}
