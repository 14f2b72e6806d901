/**
 * The models: encoders, decoders and what is minimised. A model belongs to the thread of its
 * device.
 */
package org.jlatent.models;
