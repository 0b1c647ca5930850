import IKEv2Messages
import Testing

@testable import IKEv2

/// Every notify of RFC 7296 section 3.10.1, and those of the extensions that peers send, where it may come.
@Suite struct NotifyTests {
    /// The bench with IKE_AUTH's datagram of this number lost, and what was in it.
    private func beforeMessage(_ number: Int) throws -> (TwoSessions, [Payload]) {
        let bench = TwoSessions()
        bench.network.faults[number] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        bench.forgetTrace()
        return (bench, try #require(bench.contents(of: number)))
    }

    static let initialErrors: [NotifyType] = [
        .invalidSyntax, .noProposalChosen, .invalidMajorVersion, .unsupportedCriticalPayload, .invalidKeyExchange,
        .temporaryFailure, NotifyType(rawValue: 8192),
    ]

    /// An error that refuses IKE_SA_INIT: believed when a repetition brings it again (section 2.21.1).
    @Test(arguments: initialErrors)
    func anErrorInAnswerToIKESAINIT(type: NotifyType) {
        let bench = TwoSessions()
        bench.network.isCut = true
        bench.initiate()
        func refuse() {
            bench.injectPlain(to: bench.west, .initial, .response, messageID: 0, [.notify(NotifyPayload(type))])
        }
        refuse()
        refuse()
        #expect(bench.west.sessions.count == 1, "said twice to one request, and so perhaps forged")
        bench.pass(milliseconds: 1500)
        refuse()
        #expect(bench.west.sessions.isEmpty)
        #expect(bench.west.failures.count == 1)
        let name = type == .noProposalChosen ? "no proposal chosen" : "\(type)"
        #expect(bench.west.failures.first?.what.contains(name) == true)
    }

    static let authenticationErrors: [NotifyType] = [
        .authenticationFailed, .invalidSyntax, .unsupportedCriticalPayload, .noProposalChosen, .temporaryFailure,
        .authorizationFailed, NotifyType(rawValue: 8192),
    ]

    /// A protected error without AUTH: there is no IKE SA (section 2.21.2).
    @Test(arguments: authenticationErrors)
    func anErrorInAnswerToIKEAUTH(type: NotifyType) throws {
        let (bench, _) = try beforeMessage(4)
        bench.injectProtected(
            to: bench.west, .authentication, .response, messageID: 1, [.notify(NotifyPayload(type))])
        #expect(bench.west.sessions.isEmpty)
        #expect(bench.west.environment.pendingSPIs.isEmpty)
        #expect(bench.west.failures.count == 1)
        #expect(bench.west.failures.first?.remedy.isEmpty == (type != .authenticationFailed))
    }

    static let childErrors: [NotifyType] = [
        .noProposalChosen, .trafficSelectorsUnacceptable, .singlePairRequired, .internalAddressFailure,
        .failedCPRequired, .noAdditionalSAs, .invalidSelectors, NotifyType(rawValue: 8192),
    ]

    /// An error beside AUTH: the IKE SA is up without the child (section 1.2).
    @Test(arguments: childErrors)
    func anErrorForTheChild(type: NotifyType) throws {
        let (bench, answer) = try beforeMessage(4)
        let proof = answer.filter { [.identificationResponder, .authentication].contains($0.type) }
        bench.injectProtected(
            to: bench.west, .authentication, .response, messageID: 1, proof + [.notify(NotifyPayload(type))])
        #expect(bench.west.session?.isEstablished == true)
        #expect(bench.west.children.isEmpty)
        #expect(bench.west.childFailures.count == 1)
        #expect(bench.west.environment.pendingSPIs.isEmpty)
        #expect(bench.west.failures.isEmpty)
    }

    /// An answer that forgets the child that was asked for.
    @Test func anAnswerWithoutTheChild() throws {
        let (bench, answer) = try beforeMessage(4)
        let proof = answer.filter { [.identificationResponder, .authentication].contains($0.type) }
        bench.injectProtected(to: bench.west, .authentication, .response, messageID: 1, proof)
        #expect(bench.west.session?.isEstablished == true)
        #expect(bench.west.childFailures.count == 1)
        #expect(bench.west.environment.pendingSPIs.isEmpty)
    }

    /// Transport mode that nobody asked for: the child is deleted at the peer.
    @Test func anAnswerInTransportMode() throws {
        let (bench, answer) = try beforeMessage(4)
        bench.injectProtected(
            to: bench.west, .authentication, .response, messageID: 1,
            answer + [.notify(NotifyPayload(.useTransportMode))])
        #expect(bench.trace == ["INFORMATIONAL request 2 [SK { D(ESP × 1) }] -->"])
        #expect(bench.west.children.isEmpty)
        bench.run()
        bench.expectJoined(children: 0)
    }

    static let status: [NotifyType] = [
        .setWindowSize, .additionalTrafficSelectorsPossible, .ipCompSupported, .httpCertificateLookupSupported,
        .espTFCPaddingNotSupported, .nonFirstFragmentsAlso, .mobikeSupported, .additionalIP4Address,
        .noAdditionalAddresses, .multipleAuthenticationSupported, .redirectSupported, .eapOnlyAuthentication,
        .messageIDSyncSupported, .usePPK, .intermediateExchangeSupported, .ticketRequest, .quickCrashDetection,
        NotifyType(rawValue: 50_000),
    ]

    /// What we do not do is passed over, in a request as in an answer.
    @Test(arguments: status)
    func aStatusThatMeansNothingToUs(type: NotifyType) throws {
        let (bench, request) = try beforeMessage(3)
        bench.injectProtected(
            to: bench.east, .authentication, .request, messageID: 1,
            request + [.notify(NotifyPayload(type, data: [1, 2, 3, 4]))])
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { IDr AUTH SA TSi TSr }]"])
        let (other, answer) = try beforeMessage(4)
        other.injectProtected(
            to: other.west, .authentication, .response, messageID: 1,
            answer + [.notify(NotifyPayload(type, data: [1, 2, 3, 4]))])
        other.expectJoined()
    }

    /// We have no addresses to give, and answer as one who does not know CP (section 2.19).
    @Test func aRequestForAnAddress() throws {
        let (bench, request) = try beforeMessage(3)
        let wish = ConfigurationPayload(type: .init(rawValue: 1), attributes: [.init(.init(rawValue: 1))])
        bench.injectProtected(
            to: bench.east, .authentication, .request, messageID: 1, request + [.configuration(wish)])
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { IDr AUTH SA TSi TSr }]"])
    }
}
