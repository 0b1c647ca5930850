import IPsec
import Packets
import Testing

@testable import IKEv2

@Suite struct AddressLeasesTests {
    private func holder(_ number: Int, connection: String = "branches") -> AddressLeases.Holder {
        AddressLeases.Holder(
            connection: connection,
            identities: IdentityPair(
                local: .domainName("sun.example.org"), remote: .domainName("peer-\(number).example.org")))
    }

    @Test func anAddressIsThatOfOneHolder() {
        let leases = AddressLeases()
        let pool = prefix("10.9.0.0/30")
        let taken = (0..<4).compactMap { leases.take(for: holder($0), from: pool) }
        #expect(Set(taken).count == 4 && taken.allSatisfy(pool.contains))
        #expect(leases.take(for: holder(4), from: pool) == nil)
        // Pools that overlap, of another connection.
        #expect(leases.take(for: holder(0, connection: "others"), from: AddressRange(taken[0])) == nil)
        #expect(leases.addresses(of: holder(2)) == LeasedAddresses(remote: taken[2]))
        #expect(leases.addresses(of: holder(4)) == LeasedAddresses())
    }

    @Test func aHolderGetsItsAddressAgain() {
        let leases = AddressLeases()
        let pool = prefix("10.9.0.0/29")
        let first = leases.take(for: holder(1), from: pool)
        #expect(first != nil && leases.take(for: holder(1), from: pool) == first)
        leases.release(holder(1))
        leases.release(holder(1))
        #expect(leases.addresses(of: holder(1)) == LeasedAddresses())
        #expect(leases.take(for: holder(2), from: pool) != first, "there are others")
        #expect(leases.take(for: holder(1), from: pool) == first)
        #expect(leases.addresses(of: holder(1)).remote == first)
    }

    @Test func theOneReleasedFirstIsGivenAwayFirst() {
        let leases = AddressLeases()
        let pool = prefix("10.9.0.0/31")
        let addresses = (1...2).map { leases.take(for: holder($0), from: pool) }
        leases.release(holder(2))
        leases.release(holder(1))
        #expect(leases.take(for: holder(3), from: pool) == addresses[1])
        #expect(leases.take(for: holder(2), from: pool) == addresses[0])
        #expect(leases.take(for: holder(1), from: pool) == nil)
    }

    @Test func anotherPoolIsAnotherAddress() {
        let leases = AddressLeases()
        let old = leases.take(for: holder(1), from: prefix("10.9.0.0/32"))
        #expect(leases.take(for: holder(1), from: prefix("10.8.0.0/32")) == ip("10.8.0.0"))
        #expect(old == ip("10.9.0.0") && leases.take(for: holder(2), from: prefix("10.9.0.0/32")) == old)
    }

    @Test func memoryIsBounded() {
        let leases = AddressLeases(mostRemembered: 2)
        let pool = prefix("10.9.0.0/24")
        let addresses = (0...3).map { leases.take(for: holder($0), from: pool) }
        for number in 0...3 { leases.release(holder(number)) }
        #expect(leases.take(for: holder(3), from: pool) == addresses[3], "one of the last two")
        let again = leases.take(for: holder(0), from: pool)
        #expect(again != nil && again != addresses[0], "nobody remembers which one it had")
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func noAddressIsInUseTwice(seed: UInt64) {
        var state = seed
        func number(below limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let leases = AddressLeases(mostRemembered: 5)
        let pools = [prefix("10.9.0.0/28"), prefix("10.9.0.8/29"), prefix("2001:db8:9::/125")]
        var inUse: [Int: IPAddress] = [:]
        for _ in 0..<3_000 {
            let who = number(below: 40)
            if number(below: 3) == 0 {
                leases.release(holder(who))
                inUse[who] = nil
            } else {
                let pool = pools[number(below: 3)]
                if let address = leases.take(for: holder(who), from: pool) {
                    #expect(pool.contains(address))
                    inUse[who] = address
                }
            }
            #expect(Set(inUse.values).count == inUse.count)
            #expect((0..<40).allSatisfy { leases.addresses(of: holder($0)).remote == inUse[$0] })
        }
    }

    // MARK: In negotiations

    @Test func theContextHasTheLeaseOrThePath() {
        let path = Path(local: Endpoint(ip("192.0.2.1"), port: 500), remote: Endpoint(ip("192.0.2.2"), port: 500))
        let plain = SelectorContext(path)
        #expect(plain.local == ip("192.0.2.1") && plain.remote == ip("192.0.2.2"))
        let leased = SelectorContext(path, leased: LeasedAddresses(local: ip("10.9.0.1")))
        #expect(leased.local == ip("10.9.0.1") && leased.remote == ip("192.0.2.2"))
    }

    /// Moon has an address from sun: `dynamic` is that one, in whatever IKE SA between the two.
    @Test func aLeaseSurvivesRekeyAndReauthentication() throws {
        let pair = MoonAndSun()
        pair.bringUp(
            {
                $0.children.append(.between("own", "10.1.0.0/16", "10.2.0.0/16"))
                $0.children[1].localSelectors = [.dynamic]
            },
            sun: {
                $0.children.append(.between("own", "10.2.0.0/16", "10.1.0.0/16"))
                $0.children[1].remoteSelectors = [.dynamic]
            })
        let (moon, sun) = (Identity.domainName("moon.example.org"), Identity.domainName("sun.example.org"))
        let atSun = AddressLeases.Holder(connection: "moon", identities: IdentityPair(local: sun, remote: moon))
        let atMoon = AddressLeases.Holder(connection: "sun", identities: IdentityPair(local: moon, remote: sun))
        let address = try #require(pair.sun.manager.leases.take(for: atSun, from: prefix("10.9.0.0/24")))
        pair.moon.manager.leases.accept(address, for: atMoon)
        func sources() -> Set<AddressRange> { Set(pair.moon.dataplane.active("own")?.selectors.map(\.source) ?? []) }

        #expect(pair.initiate("own"))
        #expect(sources() == [AddressRange(address)])
        let filter = SAFilter(connection: "sun")
        for (filter, isAnew) in [(SAFilter(child: "own"), false), (filter, false), (filter, true)] {
            #expect(pair.moon.manager.rekey(filter, reauthenticate: isAnew, at: pair.now) == 1)
            pair.lab.run(seconds: 30)
            #expect(pair.sun.manager.leases.addresses(of: atSun).remote == address)
            pair.expectTunnel("own")
        }
        #expect(pair.moon.manager.rekey(SAFilter(child: "own"), reauthenticate: false, at: pair.now) == 1)
        pair.lab.run(seconds: 30)
        #expect(sources() == [AddressRange(address)])
        // With the last IKE SA it goes.
        #expect(pair.terminate(filter) == 1)
        pair.lab.run(seconds: 10)
        #expect(pair.sun.manager.leases.addresses(of: atSun) == LeasedAddresses())
        #expect(pair.moon.manager.leases.addresses(of: atMoon) == LeasedAddresses())
        pair.expectNothingLeft()
    }
}
