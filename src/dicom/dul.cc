/* The only C++: dcmnet's negotiation of associations behind plain C. Guarantees that no exception
 * and no dcmtk type leaves, that dcmtk opens, waits on and closes no socket (it reads and writes
 * through the transport), and that dcmtk logs nothing.
 */
extern "C" {
#include "dul.h"

#include "aurabridge/part10.h"
}

#include "dcmtk/config/osconfig.h"

#include "dcmtk/dcmdata/dcuid.h"
#include "dcmtk/dcmnet/assoc.h"
#include "dcmtk/dcmnet/cond.h"
#include "dcmtk/dcmnet/dcmlayer.h"
#include "dcmtk/dcmnet/dcmtrans.h"
#include "dcmtk/dcmnet/dul.h"
#include "dcmtk/dcmnet/lst.h"
#include "dcmtk/oflog/oflog.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>

namespace
{

/* dcmtk takes a connected socket from one variable of the process (dcmExternalSocketHandle), so the
 * hand-over needs a lock of the process too. It is held while dcmtk picks the socket up, never
 * while it reads. */
std::mutex hand_over_lock;

const long DCMTK_TIMEOUT_SECONDS = 24 * 3600; /* the transport's deadline is the one that counts */
const uint32_t PDU_MIN = ASC_MINIMUMPDUSIZE;
const uint32_t PDU_MAX = ASC_MAXIMUMPDUSIZE;

class Connection : public DcmTCPConnection
{
  public:
    explicit Connection(struct transport *transport)
        : DcmTCPConnection(static_cast<DcmNativeSocketType>(-1)), transport_(transport)
    {
    }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    ssize_t read(void *buffer, size_t length) override
    {
        return static_cast<ssize_t>(transport_read(transport_, buffer, length));
    }
    ssize_t write(void *buffer, size_t length) override
    {
        return transport_write(transport_, buffer, length) == 0 ? static_cast<ssize_t>(length) : 0;
    }
    OFBool networkDataAvailable(int) override
    {
        return transport_wait(transport_) == TRANSPORT_OPEN;
    }

  private:
    struct transport *transport_; /* the association's owner's */
};

class Layer : public DcmTransportLayer
{
  public:
    Layer() : transport_(nullptr), lock_(nullptr)
    {
    }
    Layer(const Layer &) = delete;
    Layer &operator=(const Layer &) = delete;

    /* Both under the hand-over lock. */
    void offer(struct transport *transport, std::unique_lock<std::mutex> *lock)
    {
        transport_ = transport;
        lock_ = lock;
        dcmExternalSocketHandle.set(transport_socket(transport));
    }
    void withdraw()
    {
        dcmExternalSocketHandle.set(-1);
        transport_ = nullptr;
        lock_ = nullptr;
    }

    /* Throws rather than returning null: on null dcmtk closes the socket, which is not its own. */
    DcmTransportConnection *createConnection(DcmNativeSocketType, OFBool) override
    {
        struct transport *transport = transport_;
        std::unique_lock<std::mutex> *lock = lock_;
        withdraw();
        lock->unlock();
        return new Connection(transport);
    }

  private:
    struct transport *transport_;
    std::unique_lock<std::mutex> *lock_;
};

int fail(struct error *err, const char *what, const OFCondition &condition)
{
    (void)error_set(err, "%s: %s", what, condition.text());
    return condition == EC_MemoryExhausted ? DUL_NO_MEMORY : -1;
}

/* Runs the body; whatever is thrown becomes an error with the result `otherwise`. */
template <typename Result, typename Body>
Result guarded(struct error *err, Result otherwise, Body body) noexcept
{
    try {
        return body();
    } catch (const std::exception &thrown) {
        (void)error_set(err, "dcmtk: %s", thrown.what());
    } catch (...) {
        (void)error_set(err, "dcmtk threw an exception of an unknown type");
    }
    return otherwise;
}

/* The same for what tells short memory from the rest. */
template <typename Body> int attempted(struct error *err, Body body) noexcept
{
    return guarded(err, -1, [&] {
        try {
            return body();
        } catch (const std::bad_alloc &) {
            (void)error_set(err, "out of memory");
            return DUL_NO_MEMORY;
        }
    });
}

} // namespace

struct dul_network {
    T_ASC_Network *handle;
    Layer layer;
};

struct dul_association {
    T_ASC_Association *handle;
};

extern "C" int dul_network_open(struct dul_network **out, struct error *err)
{
    *out = nullptr;
    return guarded(err, -1, [&] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        dcmDisableGethostbyaddr.set(OFTrue);
        dul_network *network = new dul_network{nullptr, {}};
        OFCondition condition;
        {
            std::lock_guard<std::mutex> lock(hand_over_lock);
            dcmExternalSocketHandle.set(0); /* any descriptor: dcmtk then opens none itself */
            condition =
                ASC_initializeNetwork(NET_ACCEPTOR, 0, DCMTK_TIMEOUT_SECONDS, &network->handle);
            dcmExternalSocketHandle.set(-1);
        }
        if (condition.good())
            condition = ASC_setTransportLayer(network->handle, &network->layer, 0);
        if (condition.bad()) {
            dul_network_close(network);
            return fail(err, "initialise the DICOM network", condition);
        }
        *out = network;
        return 0;
    });
}

extern "C" void dul_network_close(struct dul_network *network)
{
    if (!network)
        return;
    (void)guarded(nullptr, 0, [&] {
        (void)ASC_dropNetwork(&network->handle);
        delete network;
        return 0;
    });
}

extern "C" enum sop_class_kind dul_sop_class_kind(const char *uid)
{
    return guarded(nullptr, SOP_CLASS_UNKNOWN, [&] {
        if (strcmp(uid, UID_VerificationSOPClass) == 0)
            return SOP_CLASS_VERIFICATION;
        if (dcmIsaStorageSOPClassUID(uid, ESSC_All))
            return SOP_CLASS_STORAGE;
        return dcmFindNameOfUID(uid) ? SOP_CLASS_OTHER : SOP_CLASS_UNKNOWN;
    });
}

extern "C" int dul_association_receive(struct dul_association **out, struct dul_network *network,
                                       struct transport *transport, uint32_t max_pdu,
                                       struct error *err)
{
    *out = nullptr;
    return attempted(err, [&] {
        dul_association *association = new dul_association{nullptr};
        uint32_t pdu = max_pdu < PDU_MIN ? PDU_MIN : max_pdu > PDU_MAX ? PDU_MAX : max_pdu;
        OFCondition condition;
        try {
            std::unique_lock<std::mutex> lock(hand_over_lock);
            network->layer.offer(transport, &lock);
            condition = ASC_receiveAssociation(network->handle, &association->handle,
                                               static_cast<long>(pdu));
            if (lock.owns_lock()) /* dcmtk gave up before it made the connection */
                network->layer.withdraw();
        } catch (...) {
            delete association;
            throw;
        }
        if (condition.bad()) {
            dul_association_free(association);
            return fail(err, "A-ASSOCIATE-RQ", condition);
        }
        *out = association;
        return 0;
    });
}

extern "C" void dul_association_free(struct dul_association *association)
{
    if (!association)
        return;
    (void)guarded(nullptr, 0, [&] {
        (void)ASC_destroyAssociation(&association->handle);
        delete association;
        return 0;
    });
}

static const DUL_TRANSFERSYNTAX *first_transfer_syntax(DUL_PRESENTATIONCONTEXT *proposed)
{
    if (!proposed->proposedTransferSyntax)
        return nullptr;
    return static_cast<const DUL_TRANSFERSYNTAX *>(LST_Head(&proposed->proposedTransferSyntax));
}

static void describe_context(struct presentation_context *out, DUL_PRESENTATIONCONTEXT *proposed)
{
    memset(out, 0, sizeof *out);
    out->id = proposed->presentationContextID;
    (void)uid_from_field(out->abstract_syntax, proposed->abstractSyntax,
                         strlen(proposed->abstractSyntax));
    out->kind = dul_sop_class_kind(out->abstract_syntax);
    const DUL_TRANSFERSYNTAX *first = first_transfer_syntax(proposed);
    if (first)
        (void)uid_from_field(out->transfer_syntax_uid, first->transferSyntax,
                             strlen(first->transferSyntax));
}

extern "C" size_t dul_association_contexts(struct dul_association *association,
                                           struct presentation_context *out)
{
    return guarded(nullptr, static_cast<size_t>(0), [&] {
        size_t count = 0;
        bool seen[256] = {};
        LST_HEAD **list = &association->handle->params->DULparams.requestedPresentationContext;
        void *node = *list ? LST_Head(list) : nullptr;
        if (node)
            (void)LST_Position(list, node);
        for (; node && count < PRESENTATION_CONTEXTS_MAX; node = LST_Next(list)) {
            DUL_PRESENTATIONCONTEXT *proposed = static_cast<DUL_PRESENTATIONCONTEXT *>(node);
            if (seen[proposed->presentationContextID])
                continue;
            seen[proposed->presentationContextID] = true;
            describe_context(&out[count++], proposed);
        }
        return count;
    });
}

static OFCondition settle_context(T_ASC_Parameters *params,
                                  const struct presentation_context *context)
{
    if (context->result == CONTEXT_ACCEPTED)
        return ASC_acceptPresentationContext(params, context->id, context->transfer_syntax_uid);
    return ASC_refusePresentationContext(params, context->id,
                                         static_cast<T_ASC_P_ResultReason>(context->result));
}

/* dcmtk's own ASC_setIdentAC is declared otherwise than it is exported. The parameters own the
 * answer; its server response stays empty, as PS3.7 D.3.3.7.2 has it for user names. */
static void answer_user_identity(T_ASC_Parameters *params)
{
    if (!params->DULparams.ackUserIdentNeg)
        params->DULparams.ackUserIdentNeg = new UserIdentityNegotiationSubItemAC();
}

extern "C" int dul_association_accept(struct dul_association *association,
                                      const struct presentation_context *contexts, size_t count,
                                      bool identity_answer, struct error *err)
{
    return attempted(err, [&] {
        T_ASC_Parameters *params = association->handle->params;
        OFCondition condition = EC_Normal;
        for (size_t i = 0; i < count && condition.good(); i++)
            condition = settle_context(params, &contexts[i]);
        if (identity_answer)
            answer_user_identity(params);
        (void)snprintf(params->ourImplementationClassUID, sizeof params->ourImplementationClassUID,
                       "%s", PART10_IMPLEMENTATION_CLASS_UID);
        (void)snprintf(params->ourImplementationVersionName,
                       sizeof params->ourImplementationVersionName, "%s",
                       PART10_IMPLEMENTATION_VERSION_NAME);
        if (condition.good())
            condition = ASC_acknowledgeAssociation(association->handle);
        return condition.good() ? 0 : fail(err, "A-ASSOCIATE-AC", condition);
    });
}
