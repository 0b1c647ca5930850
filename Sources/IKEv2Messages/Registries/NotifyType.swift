/// IKEv2 Notify Message Types (RFC 7296 section 3.10.1, and the extensions named at each group).
package struct NotifyType: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let label = "notify"

    /// 0 to 16383: in a response, known or not, the request has failed (RFC 7296 section 3.10.1). The rest is status,
    /// and ignored when unknown.
    package var isError: Bool { rawValue < 16384 }
}

// MARK: - Errors

extension NotifyType {
    package static let unsupportedCriticalPayload = Self(rawValue: 1)
    package static let invalidIKESPI = Self(rawValue: 4)
    package static let invalidMajorVersion = Self(rawValue: 5)
    package static let invalidSyntax = Self(rawValue: 7)
    package static let invalidMessageID = Self(rawValue: 9)
    package static let invalidSPI = Self(rawValue: 11)
    package static let noProposalChosen = Self(rawValue: 14)
    package static let invalidKeyExchange = Self(rawValue: 17)
    package static let authenticationFailed = Self(rawValue: 24)
    package static let singlePairRequired = Self(rawValue: 34)
    package static let noAdditionalSAs = Self(rawValue: 35)
    package static let internalAddressFailure = Self(rawValue: 36)
    package static let failedCPRequired = Self(rawValue: 37)
    package static let trafficSelectorsUnacceptable = Self(rawValue: 38)
    package static let invalidSelectors = Self(rawValue: 39)
    // RFC 4555.
    package static let unacceptableAddresses = Self(rawValue: 40)
    package static let unexpectedNATDetected = Self(rawValue: 41)
    // RFC 5026.
    package static let useAssignedHomeAddress = Self(rawValue: 42)
    package static let temporaryFailure = Self(rawValue: 43)
    package static let childSANotFound = Self(rawValue: 44)
    // G-IKEv2.
    package static let invalidGroupID = Self(rawValue: 45)
    package static let authorizationFailed = Self(rawValue: 46)
    // RFC 9370.
    package static let stateNotFound = Self(rawValue: 47)
    // RFC 9611.
    package static let trafficSelectorMaximumQueue = Self(rawValue: 48)
}

// MARK: - Status

extension NotifyType {
    package static let initialContact = Self(rawValue: 16384)
    package static let setWindowSize = Self(rawValue: 16385)
    package static let additionalTrafficSelectorsPossible = Self(rawValue: 16386)
    package static let ipCompSupported = Self(rawValue: 16387)
    package static let natDetectionSource = Self(rawValue: 16388)
    package static let natDetectionDestination = Self(rawValue: 16389)
    package static let cookie = Self(rawValue: 16390)
    package static let useTransportMode = Self(rawValue: 16391)
    package static let httpCertificateLookupSupported = Self(rawValue: 16392)
    package static let rekeySA = Self(rawValue: 16393)
    package static let espTFCPaddingNotSupported = Self(rawValue: 16394)
    package static let nonFirstFragmentsAlso = Self(rawValue: 16395)
    // RFC 4555, MOBIKE.
    package static let mobikeSupported = Self(rawValue: 16396)
    package static let additionalIP4Address = Self(rawValue: 16397)
    package static let additionalIP6Address = Self(rawValue: 16398)
    package static let noAdditionalAddresses = Self(rawValue: 16399)
    package static let updateSAAddresses = Self(rawValue: 16400)
    package static let cookie2 = Self(rawValue: 16401)
    package static let noNATsAllowed = Self(rawValue: 16402)
    // RFC 4478, repeated authentication; RFC 4739, multiple authentication.
    package static let authenticationLifetime = Self(rawValue: 16403)
    package static let multipleAuthenticationSupported = Self(rawValue: 16404)
    package static let anotherAuthenticationFollows = Self(rawValue: 16405)
    // RFC 5685, redirect.
    package static let redirectSupported = Self(rawValue: 16406)
    package static let redirect = Self(rawValue: 16407)
    package static let redirectedFrom = Self(rawValue: 16408)
    // RFC 5723, session resumption.
    package static let ticketLifetimeOpaque = Self(rawValue: 16409)
    package static let ticketRequest = Self(rawValue: 16410)
    package static let ticketAcknowledgement = Self(rawValue: 16411)
    package static let ticketRefused = Self(rawValue: 16412)
    package static let ticketOpaque = Self(rawValue: 16413)
    // RFC 5739, 5840, 5857.
    package static let linkID = Self(rawValue: 16414)
    package static let useWESPMode = Self(rawValue: 16415)
    package static let rohcSupported = Self(rawValue: 16416)
    // RFC 5998, 6023, 6290.
    package static let eapOnlyAuthentication = Self(rawValue: 16417)
    package static let childlessSupported = Self(rawValue: 16418)
    package static let quickCrashDetection = Self(rawValue: 16419)
    // RFC 6311, high availability.
    package static let messageIDSyncSupported = Self(rawValue: 16420)
    package static let replayCounterSyncSupported = Self(rawValue: 16421)
    package static let messageIDSync = Self(rawValue: 16422)
    package static let replayCounterSync = Self(rawValue: 16423)
    // RFC 6467, 6631, 6867, 7296 registry.
    package static let securePasswordMethods = Self(rawValue: 16424)
    package static let pskPersist = Self(rawValue: 16425)
    package static let pskConfirm = Self(rawValue: 16426)
    package static let erxSupported = Self(rawValue: 16427)
    package static let ifomCapability = Self(rawValue: 16428)
    package static let groupSender = Self(rawValue: 16429)
    // RFC 7383, 7427, 7791, 8019.
    package static let fragmentationSupported = Self(rawValue: 16430)
    package static let signatureHashAlgorithms = Self(rawValue: 16431)
    package static let cloneIKESASupported = Self(rawValue: 16432)
    package static let cloneIKESA = Self(rawValue: 16433)
    package static let puzzle = Self(rawValue: 16434)
    // RFC 8784, post-quantum preshared keys.
    package static let usePPK = Self(rawValue: 16435)
    package static let ppkIdentity = Self(rawValue: 16436)
    package static let noPPKAuthentication = Self(rawValue: 16437)
    // RFC 9242, 8983, 9370, 9347, 9593, 9611.
    package static let intermediateExchangeSupported = Self(rawValue: 16438)
    package static let ip4Allowed = Self(rawValue: 16439)
    package static let ip6Allowed = Self(rawValue: 16440)
    package static let additionalKeyExchange = Self(rawValue: 16441)
    package static let useAggregationAndFragmentation = Self(rawValue: 16442)
    package static let supportedAuthenticationMethods = Self(rawValue: 16443)
    package static let saResourceInformation = Self(rawValue: 16444)
}

extension NotifyType {
    /// The names as the IANA registry spells them, which is how peers log them.
    package static let names: [Self: String] = errorNames.merging(statusNames) { first, _ in first }

    private static let errorNames: [Self: String] = [
        .unsupportedCriticalPayload: "UNSUPPORTED_CRITICAL_PAYLOAD", .invalidIKESPI: "INVALID_IKE_SPI",
        .invalidMajorVersion: "INVALID_MAJOR_VERSION", .invalidSyntax: "INVALID_SYNTAX",
        .invalidMessageID: "INVALID_MESSAGE_ID", .invalidSPI: "INVALID_SPI", .noProposalChosen: "NO_PROPOSAL_CHOSEN",
        .invalidKeyExchange: "INVALID_KE_PAYLOAD", .authenticationFailed: "AUTHENTICATION_FAILED",
        .singlePairRequired: "SINGLE_PAIR_REQUIRED", .noAdditionalSAs: "NO_ADDITIONAL_SAS",
        .internalAddressFailure: "INTERNAL_ADDRESS_FAILURE", .failedCPRequired: "FAILED_CP_REQUIRED",
        .trafficSelectorsUnacceptable: "TS_UNACCEPTABLE", .invalidSelectors: "INVALID_SELECTORS",
        .unacceptableAddresses: "UNACCEPTABLE_ADDRESSES", .unexpectedNATDetected: "UNEXPECTED_NAT_DETECTED",
        .useAssignedHomeAddress: "USE_ASSIGNED_HoA", .temporaryFailure: "TEMPORARY_FAILURE",
        .childSANotFound: "CHILD_SA_NOT_FOUND", .invalidGroupID: "INVALID_GROUP_ID",
        .authorizationFailed: "AUTHORIZATION_FAILED", .stateNotFound: "STATE_NOT_FOUND",
        .trafficSelectorMaximumQueue: "TS_MAX_QUEUE",
    ]

    private static let statusNames: [Self: String] = [
        .initialContact: "INITIAL_CONTACT", .setWindowSize: "SET_WINDOW_SIZE",
        .additionalTrafficSelectorsPossible: "ADDITIONAL_TS_POSSIBLE", .ipCompSupported: "IPCOMP_SUPPORTED",
        .natDetectionSource: "NAT_DETECTION_SOURCE_IP", .natDetectionDestination: "NAT_DETECTION_DESTINATION_IP",
        .cookie: "COOKIE", .useTransportMode: "USE_TRANSPORT_MODE",
        .httpCertificateLookupSupported: "HTTP_CERT_LOOKUP_SUPPORTED", .rekeySA: "REKEY_SA",
        .espTFCPaddingNotSupported: "ESP_TFC_PADDING_NOT_SUPPORTED",
        .nonFirstFragmentsAlso: "NON_FIRST_FRAGMENTS_ALSO", .mobikeSupported: "MOBIKE_SUPPORTED",
        .additionalIP4Address: "ADDITIONAL_IP4_ADDRESS", .additionalIP6Address: "ADDITIONAL_IP6_ADDRESS",
        .noAdditionalAddresses: "NO_ADDITIONAL_ADDRESSES", .updateSAAddresses: "UPDATE_SA_ADDRESSES",
        .cookie2: "COOKIE2", .noNATsAllowed: "NO_NATS_ALLOWED", .authenticationLifetime: "AUTH_LIFETIME",
        .multipleAuthenticationSupported: "MULTIPLE_AUTH_SUPPORTED",
        .anotherAuthenticationFollows: "ANOTHER_AUTH_FOLLOWS", .redirectSupported: "REDIRECT_SUPPORTED",
        .redirect: "REDIRECT", .redirectedFrom: "REDIRECTED_FROM", .ticketLifetimeOpaque: "TICKET_LT_OPAQUE",
        .ticketRequest: "TICKET_REQUEST", .ticketAcknowledgement: "TICKET_ACK", .ticketRefused: "TICKET_NACK",
        .ticketOpaque: "TICKET_OPAQUE", .linkID: "LINK_ID", .useWESPMode: "USE_WESP_MODE",
        .rohcSupported: "ROHC_SUPPORTED", .eapOnlyAuthentication: "EAP_ONLY_AUTHENTICATION",
        .childlessSupported: "CHILDLESS_IKEV2_SUPPORTED", .quickCrashDetection: "QUICK_CRASH_DETECTION",
        .messageIDSyncSupported: "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        .replayCounterSyncSupported: "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED", .messageIDSync: "IKEV2_MESSAGE_ID_SYNC",
        .replayCounterSync: "IPSEC_REPLAY_COUNTER_SYNC", .securePasswordMethods: "SECURE_PASSWORD_METHODS",
        .pskPersist: "PSK_PERSIST", .pskConfirm: "PSK_CONFIRM", .erxSupported: "ERX_SUPPORTED",
        .ifomCapability: "IFOM_CAPABILITY", .groupSender: "GROUP_SENDER",
        .fragmentationSupported: "IKEV2_FRAGMENTATION_SUPPORTED",
        .signatureHashAlgorithms: "SIGNATURE_HASH_ALGORITHMS", .cloneIKESASupported: "CLONE_IKE_SA_SUPPORTED",
        .cloneIKESA: "CLONE_IKE_SA", .puzzle: "PUZZLE", .usePPK: "USE_PPK", .ppkIdentity: "PPK_IDENTITY",
        .noPPKAuthentication: "NO_PPK_AUTH", .intermediateExchangeSupported: "INTERMEDIATE_EXCHANGE_SUPPORTED",
        .ip4Allowed: "IP4_ALLOWED", .ip6Allowed: "IP6_ALLOWED", .additionalKeyExchange: "ADDITIONAL_KEY_EXCHANGE",
        .useAggregationAndFragmentation: "USE_AGGFRAG", .supportedAuthenticationMethods: "SUPPORTED_AUTH_METHODS",
        .saResourceInformation: "SA_RESOURCE_INFO",
    ]
}
