import Netlink
import Packets
import Testing

@testable import Gateway

/// Which neighbours the kernel is asked for while somebody scans a network.
@Suite struct WantedNeighboursTests {
    private static let second = Duration.seconds(1)
    private let mac = MACAddress(0x0200_0000_0001)

    private func key(_ number: UInt32, interface: UInt32 = 3) -> Neighbour.Key {
        Neighbour.Key(interfaceIndex: interface, address: IPAddress(ipv4: 0x0A00_0000 + number))
    }

    private func sender(_ number: UInt32) -> IPAddress { IPAddress(ipv4: 0x0B00_0000 + number) }

    private func state(_ neighbours: [(Neighbour.Key, Neighbour.State)]) -> NetworkState {
        var state = NetworkState()
        for (key, neighbourState) in neighbours {
            _ = state.apply(
                .neighbour(Neighbour(key: key, macAddress: neighbourState.isValid ? mac : nil, state: neighbourState)))
        }
        return state
    }

    /// A host behind one peer scans with one address, one behind another peer with thousands. The kernel gets no more questions
    /// than its table has room for, and everybody else is asked for at once.
    @Test func aScanTakesItsPartAndNoMore() {
        var wanted = WantedNeighbours()
        let empty = NetworkState()
        for number in UInt32(0)..<5000 {
            wanted.want(key(number), by: .connection("one"), sender: sender(1), now: 0)
        }
        #expect(wanted.count == WantedNeighbours.mostOfSender)
        wanted.want(key(6000), by: .connection("one"), sender: sender(2), now: 0)
        #expect(wanted.takeDue(in: empty, now: 0).contains(key(6000)))
        for number in UInt32(10_000)..<15_000 {
            wanted.want(key(number), by: .connection("two"), sender: sender(number), now: 1)
        }
        #expect(wanted.count == WantedNeighbours.mostOfSender + 1 + WantedNeighbours.mostOfRequester)
        wanted.want(key(7000), by: .connection("three"), sender: sender(1), now: 2)
        wanted.want(key(7001), by: .number(0), sender: sender(1), now: 2)
        wanted.want(key(7002), by: .gateway, sender: sender(1), now: 2)
        #expect(Set(wanted.takeDue(in: empty, now: 2)).isSuperset(of: [key(7000), key(7001), key(7002)]))
    }

    /// Many tunnels scan: the next one still gets a place, from one that has many.
    @Test func aFullTableGivesTheNextOneAPlace() {
        var wanted = WantedNeighbours()
        for peer in UInt32(0)..<8 {
            for number in UInt32(0)..<100 {
                wanted.want(
                    key(peer * 1000 + number), by: .number(peer), sender: sender(number),
                    now: Instant(nanoseconds: UInt64(number)))
            }
        }
        #expect(wanted.count == WantedNeighbours.most)
        wanted.want(key(9000), by: .connection("good"), sender: sender(1), now: 100)
        #expect(wanted.count == WantedNeighbours.most)
        #expect(wanted.takeDue(in: NetworkState(), now: 100).contains(key(9000)))
    }

    /// A host that looks after many that are down, for ever, still reaches a new one.
    @Test func thoseThatDoNotAnswerGiveUpTheirPlaces() {
        var wanted = WantedNeighbours()
        var asked: [Neighbour.Key] = []
        for tick in 0..<100 {
            let now = Instant.start + Self.second * tick / 10
            for number in UInt32(0)..<20 { wanted.want(key(number), by: .number(0), sender: sender(1), now: now) }
            if tick == 50 { wanted.want(key(77), by: .number(0), sender: sender(1), now: now) }
            asked += wanted.takeDue(in: NetworkState(), now: now)
            #expect(wanted.count <= WantedNeighbours.mostOfSender)
        }
        #expect(Set(asked).isSuperset(of: (UInt32(0)..<20).map { key($0) }))
        #expect(asked.contains(key(77)))
    }

    /// Asked each second, every three once it has failed; no more when it has answered or nobody wants it.
    @Test func asksUntilThereIsAnAnswer() {
        var wanted = WantedNeighbours()
        let one = key(1)
        func due(_ neighbour: Neighbour.State?, at now: Instant) -> [Neighbour.Key] {
            wanted.takeDue(in: state(neighbour.map { [(one, $0)] } ?? []), now: now)
        }
        wanted.want(one, by: .number(0), sender: sender(1), now: 0)
        #expect(due(nil, at: 0) == [one])
        #expect(due(.incomplete, at: .start + Self.second - .nanoseconds(1)) == [])
        #expect(due(nil, at: .start + Self.second) == [one])
        #expect(due(.failed, at: .start + Self.second * 3) == [])
        #expect(due(.failed, at: .start + Self.second * 4) == [one])
        #expect(due(.reachable, at: .start + Self.second * 8) == [] && wanted.count == 0, "the place is free again")
        wanted.want(one, by: .number(0), sender: sender(1), now: .start + Self.second * 9)
        #expect(due(nil, at: .start + Self.second * 19) == [] && wanted.count == 0)
    }
}
