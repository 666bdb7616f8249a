/* Who may associate, and for what. Decides from the configuration and the request alone; sends and
 * logs nothing.
 */
#include "negotiate.h"

#include "aurabridge/node.h"
#include "aurabridge/text.h"

#include <stdio.h>
#include <string.h>

#define REJECTED_PERMANENT          1
#define SOURCE_SERVICE_USER         1
#define SOURCE_SERVICE_PROVIDER     2 /* ACSE related */
#define REASON_APPLICATION_CONTEXT  2
#define REASON_PROTOCOL_VERSION     2
#define REASON_CALLING_UNRECOGNIZED 3
#define REASON_CALLED_UNRECOGNIZED  7
#define DICOM_APPLICATION_CONTEXT   "1.2.840.10008.3.1.1.1"

static enum context_result context_result(const struct presentation_context *context,
                                          bool unknown_sop_classes)
{
    if (!context->abstract_syntax[0] || context->kind == SOP_CLASS_OTHER)
        return CONTEXT_ABSTRACT_SYNTAX_REFUSED;
    if (context->kind == SOP_CLASS_UNKNOWN && !unknown_sop_classes)
        return CONTEXT_ABSTRACT_SYNTAX_REFUSED;
    /* The data set is kept as it comes, so any transfer syntax will do: the sender's first choice
     * spares it a conversion. */
    return context->transfer_syntax_uid[0] ? CONTEXT_ACCEPTED : CONTEXT_TRANSFER_SYNTAXES_REFUSED;
}

size_t negotiate_contexts(struct presentation_context *contexts, size_t count,
                          bool unknown_sop_classes)
{
    size_t accepted = 0;
    for (size_t i = 0; i < count; i++) {
        contexts[i].result = context_result(&contexts[i], unknown_sop_classes);
        accepted += contexts[i].result == CONTEXT_ACCEPTED;
    }
    return accepted;
}

static const struct config_ae_title *find_title(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->dicom.ae_title_count; i++) {
        if (strcmp(config->dicom.ae_titles[i].name, name) == 0)
            return &config->dicom.ae_titles[i];
    }
    return NULL;
}

static bool calling_allowed(const struct config_ae_title *title, const char *calling)
{
    for (size_t i = 0; i < title->calling.count; i++) {
        if (ae_title_matches(title->calling.items[i], calling))
            return true;
    }
    return title->calling.count == 0;
}

static bool source_allowed(const struct config_ae_title *title, const char *address)
{
    for (size_t i = 0; i < title->from.count; i++) {
        if (network_contains(&title->from.items[i], address))
            return true;
    }
    return title->from.count == 0;
}

static void list_titles(const struct config *config, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < config->dicom.ae_title_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "",
                                 config->dicom.ae_titles[i].name);
}

static int reject(struct rejection *out, uint8_t reason)
{
    *out = (struct rejection){REJECTED_PERMANENT, SOURCE_SERVICE_USER, reason};
    return -1;
}

static int check_calling(const struct config_ae_title *title, const struct association *association,
                         struct rejection *out, struct error *remedy)
{
    const char *calling = association->calling_ae_title;
    const char *peer_address = association->peer_address;
    if (!calling[0]) {
        (void)error_set(remedy, "the calling AE title is empty or has characters that an AE title "
                                "must not have; give the sender a proper one");
        return reject(out, REASON_CALLING_UNRECOGNIZED);
    }
    if (!calling_allowed(title, calling)) {
        (void)error_set(remedy,
                        "calling AE title %s may not call %s; add it to `calling` of that AE title "
                        "in dicom.ae_titles",
                        calling, title->name);
        return reject(out, REASON_CALLING_UNRECOGNIZED);
    }
    if (!source_allowed(title, peer_address)) {
        (void)error_set(remedy,
                        "address %s may not call %s; add its network to `from` of that AE title in "
                        "dicom.ae_titles",
                        peer_address, title->name);
        return reject(out, REASON_CALLING_UNRECOGNIZED);
    }
    return 0;
}

static int check_titles(const struct config *config, const struct association *association,
                        struct rejection *out, struct error *remedy)
{
    const char *called = association->called_ae_title;
    const struct config_ae_title *title = find_title(config, called);
    if (title && called[0])
        return check_calling(title, association, out, remedy);
    char titles[512];
    list_titles(config, titles, sizeof titles);
    (void)error_set(remedy, "called AE title %s is unknown here; configured: %s",
                    called[0] ? called : "\"\"", titles);
    return reject(out, REASON_CALLED_UNRECOGNIZED);
}

int negotiate_titles(const struct config *config, const struct associate_request *request,
                     const char *peer_address, struct rejection *out, struct error *remedy)
{
    if (!(request->protocol_version & 1)) { /* the bit that PS3.8 9.3.2 has tested */
        (void)error_set(remedy,
                        "protocol version %04X is not DICOM's; is the sender a DICOM application?",
                        request->protocol_version);
        *out = (struct rejection){REJECTED_PERMANENT, SOURCE_SERVICE_PROVIDER,
                                  REASON_PROTOCOL_VERSION};
        return -1;
    }
    if (strcmp(request->application_context, DICOM_APPLICATION_CONTEXT) != 0) {
        (void)error_set(
            remedy, "application context \"%s\" is not DICOM's; is the sender a DICOM application?",
            request->application_context);
        return reject(out, REASON_APPLICATION_CONTEXT);
    }
    struct association association = {.id = 0};
    text_copy(association.called_ae_title, AE_TITLE_SIZE, request->called_ae_title);
    text_copy(association.calling_ae_title, AE_TITLE_SIZE, request->calling_ae_title);
    text_copy(association.peer_address, NETWORK_ADDRESS_SIZE, peer_address);
    return check_titles(config, &association, out, remedy);
}

int node_admits(const struct config *config, const struct association *association,
                struct error *why_not)
{
    struct rejection rejection;
    return check_titles(config, association, &rejection, why_not);
}
