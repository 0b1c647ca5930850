extension NotifyType {
    /// As the IANA registry spells them, which is how peers log them.
    public static let names: [Self: String] = errorNames.merging(statusNames) { first, _ in first }

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
