/* The picture of a destination: what brakes it, and the figures that say so. No patient data. */
#include "status_json.h"

#include "aurabridge/clock.h"

struct emission {
    operate_emit *emit;
    void *context;
};

static int set_times(struct json *object, const struct bridge_destination *destination)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!destination->reason[0])
        return json_set_null(object, "reason") | json_set_null(object, "next_try");
    clock_format_rfc3339(text, destination->until_ms);
    return json_set_string(object, "reason", destination->reason) |
           json_set_string(object, "next_try", text);
}

static struct json *picture(const struct bridge_destination *destination)
{
    struct json *object = json_new_object();
    int failed = json_set_string(object, "name", destination->name);
    failed |= json_set_string(object, "brake", bridge_brake_name(destination->brake));
    failed |= set_times(object, destination);
    failed |= json_set_int(object, "studies_waiting", (int64_t)destination->waiting);
    failed |= json_set_int(object, "studies_in_hand", destination->busy);
    failed |= json_set_int(object, "uploads_sending", destination->sending);
    failed |= json_set_int(object, "calls_limit", destination->calls_limit);
    failed |= json_set_int(object, "calls_left", destination->calls_left);
    /* Rounded up: 0 is now. */
    failed |= json_set_int(object, "next_call_in_s", (destination->next_call_ms + 999) / 1000);
    failed |= json_set_int(object, "waiting_for_calls", destination->lacking_calls);
    failed |= json_set_int(object, "bytes_per_second", (int64_t)destination->bytes_per_second);
    failed |= json_set_int(object, "bytes_sent", (int64_t)destination->bytes_sent);
    failed |= destination->bytes_limit > 0 ? json_set_int(object, "bytes_per_second_limit",
                                                          (int64_t)destination->bytes_limit)
                                           : json_set_null(object, "bytes_per_second_limit");
    if (!failed)
        return object;
    json_free(object);
    return NULL;
}

static int emit_one(void *context, const struct bridge_destination *destination)
{
    const struct emission *emission = context;
    struct json *line = json_new_object();
    struct json *object = picture(destination);
    int failed = object ? json_set(line, "destination", object) : -1;
    if (!failed)
        failed = emission->emit(emission->context, line);
    json_free(line);
    return failed;
}

static int emit_journal(struct bridge *bridge, operate_emit *emit, void *context)
{
    struct bridge_journal journal;
    struct json *line = json_new_object();
    struct json *object = json_new_object();
    bridge_journal(bridge, &journal);
    int failed = json_set_int(object, "instances", (int64_t)journal.instances);
    failed |= json_set_int(object, "bytes", (int64_t)journal.bytes);
    failed |= json_set_int(object, "bytes_limit", (int64_t)journal.capacity);
    if (failed)
        json_free(object);
    else
        failed = json_set(line, "journal", object);
    if (!failed)
        failed = emit(context, line);
    json_free(line);
    return failed;
}

int status_emit(struct bridge *bridge, operate_emit *emit, void *context, struct error *err)
{
    struct emission emission = {emit, context};
    return bridge_destinations(bridge, emit_one, &emission, err) == 0 &&
                   emit_journal(bridge, emit, context) == 0
               ? 0
               : -1;
}
